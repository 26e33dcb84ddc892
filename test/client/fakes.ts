// A runtime without a network: what the client opens is kept, and answered by the test.
import type { Answer, NativeSocket, PostInit } from '../../client/base/natives.ts'
import type { WebSocketOptions } from '../../client/base/types.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { WebSocket as Base } from '../../client/socket/websocket-class.ts'
import { controlText } from '../../shared/frame.ts'

export class FakeSocket implements NativeSocket {
  binaryType = 'blob'
  bufferedAmount = 0
  protocol = ''
  readyState = 1
  onopen: NativeSocket['onopen'] = null
  onmessage: NativeSocket['onmessage'] = null
  onerror: NativeSocket['onerror'] = null
  onclose: NativeSocket['onclose'] = null
  readonly sent: (string | Uint8Array)[] = []
  closed = false
  readonly url: string
  readonly protocols: string[]

  constructor(url: string, protocols: string[]) {
    this.url = url
    this.protocols = protocols
  }

  /** What it was asked with beside: how often the server is to be heard. */
  readonly wishes: string[] = []

  send(data: string | Uint8Array): void {
    if (typeof data === 'string' && data.startsWith(controlText('hear', ''))) this.wishes.push(data)
    else this.sent.push(data)
  }

  close(): void {
    this.closed = true
  }

  receive(data: string | ArrayBuffer): void {
    this.onmessage?.({ data })
  }

  welcome(protocol = '', got = 0, start: number | undefined = 0): void {
    const welcome = { got, protocol, heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }
    const said = JSON.stringify({ ...welcome, ...(start !== undefined && { start }) })
    this.receive(controlText('welcome', said))
    if (this.wishes.length > 0) this.receive(controlText('pong', ''))
  }

  fail(code = 1006, reason = ''): void {
    this.onclose?.({ code, reason, wasClean: code !== 1006 })
  }
}

export const sockets: FakeSocket[] = []
const posts: PostInit[] = []

/** Tasks that wait; the test says when each has its turn. */
export const tasks: (() => void)[] = []

export async function runTask(): Promise<void> {
  tasks.shift()?.()
  // Microtasks of the task, and of theirs.
  for (let i = 0; i < 5; i++) await undefined
}

export const platform: Platform = {
  ownTasks: true,
  base: () => 'http://page.example/dir/page?q=1#part',
  webSocket(url, protocols) {
    const socket = new FakeSocket(url, protocols)
    sockets.push(socket)
    return socket
  },
  listen() {
    throw new Error('none')
  },
  post(_url: string, init: PostInit): Promise<Answer> {
    posts.push(init)
    return Promise.resolve({ status: 403, statusText: 'Forbidden', body: null })
  },
  task: (run) => void tasks.push(run),
  closeEvent: (init) => Object.assign(new Event('close'), init),
  store: () => undefined,
}

export class WebSocket extends Base {
  protected static override readonly platform: Platform = platform
}

/** An open socket on a fake WebSocket. */
export function open(options: WebSocketOptions = {}): { socket: WebSocket; native: FakeSocket } {
  const socket = new WebSocket('ws://server.example/', { transports: ['websocket'], ...options })
  const native = sockets.at(-1)!
  native.welcome()
  return { socket, native }
}
