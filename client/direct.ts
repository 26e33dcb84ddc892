/** The option `session: false`: one WebSocket as the runtime makes it, for servers that know nothing of sessions. */
import type { Message } from '../shared/message.ts'
import type { Listener } from './connector.ts'
import { Diary } from './diary.ts'
import type { NativeSocket } from './platform.ts'

export class Direct {
  readonly diary: Diary = new Diary()
  readonly #socket: NativeSocket

  constructor(socket: NativeSocket, listener: Pick<Listener, 'opened' | 'message' | 'closed'>) {
    this.#socket = socket
    let why: string | undefined
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => listener.opened(socket.protocol)
    socket.onmessage = ({ data }) =>
      listener.message(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer), true)
    socket.onerror = ({ message = '' }) => {
      why = message
    }
    socket.onclose = ({ code, reason, wasClean }) => {
      this.diary.add({ type: 'close', at: Date.now(), code, reason: reason || (why ?? '') })
      listener.closed(code, reason, wasClean, why !== undefined, true)
    }
  }

  get transport(): 'websocket' | null {
    return this.#socket.readyState === 1 ? 'websocket' : null
  }

  get buffered(): number {
    return this.#socket.bufferedAmount
  }

  send({ data }: Message): boolean {
    this.#socket.send(data)
    return true
  }

  close(code: number, reason: string): void {
    if (code === 1005) this.#socket.close()
    else this.#socket.close(code, reason)
  }

  fail(): void {
    this.#socket.close()
  }
}
