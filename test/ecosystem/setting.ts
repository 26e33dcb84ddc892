// A library's work on each transport, on a quiet network and on one that cuts every connection in the middle of it.
import { createServer, type Server } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, type Transport, WebSocket } from '../../client/node.ts'
import { type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { end } from '../support/serving.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

type Protocols = string | Iterable<string>

/** What one of the library's sockets has seen. */
interface Seen {
  readonly socket: WebSocket
  readonly carriedBy: Set<Transport>
  /** The codes of its `close` events. */
  readonly closes: number[]
}

interface Steps {
  /** One that was begun has come to its end. */
  ended(): void
  /** All have. */
  readonly all: Promise<void>
}

export class Setting {
  readonly transport: Transport
  /** The library's, or for it; listens already. */
  readonly server: Server
  readonly url: string
  /** For the library: our class, which may use this one transport. */
  readonly WebSocket: typeof WebSocket
  /** Every socket that the library has made, in order. */
  readonly sockets: Seen[] = []
  readonly #network: HostileNetwork
  readonly #cuts: boolean
  #struck = 0

  private constructor(transport: Transport, cuts: boolean, server: Server, network: HostileNetwork) {
    this.transport = transport
    this.#cuts = cuts
    this.server = server
    this.#network = network
    this.url = `ws://127.0.0.1:${network.port}`
    const { sockets } = this
    this.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: Protocols) {
        super(url, protocols, { transports: [transport], remember: false })
        sockets.push(watch(this))
      }
    }
  }

  /** Until the test is through. `server`: not yet listening. */
  static async make(transport: Transport, cuts: boolean, server: Server = createServer()): Promise<Setting> {
    const port = await listen(server)
    const network = await hostileNetwork(port)
    onTestFinished(() => network.close())
    return new Setting(transport, cuts, server, network)
  }

  /** A server of ours on the HTTP server. */
  serve(options: ServerOptions = {}): WebSocketServer {
    const realtime = new WebSocketServer({ server: this.server, ...options })
    onTestFinished(() => end(realtime))
    return realtime
  }

  /** The work is under way: where the network is to be cut, it is cut now. */
  disturb(): void {
    if (this.#cuts && this.#network.cut() > 0) this.#struck++
  }

  /**
   * Work of so many steps, ten of them under way at a time; in the middle of each third the network is cut. A step ends when
   * its promise does, or when `ended` is called.
   */
  steps(count: number, begin: (i: number) => unknown): Steps {
    let [begun, over] = [0, 0]
    let settle: { resolve(): void; reject(reason: unknown): void }
    const all = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject }
    })
    const go = (): void => {
      while (begun < Math.min(count, over + 10)) {
        const step = begin(begun++)
        if (step instanceof Promise) step.then(ended, settle.reject)
      }
    }
    const ended = (): void => {
      if (++over % Math.floor(count / 3) === Math.floor(count / 6)) this.disturb()
      if (over === count) settle.resolve()
      go()
    }
    go()
    return { ended, all }
  }

  /** The library has closed its sockets: these, each once and with its code, if that is known; and made none anew. */
  async finished(...codes: (number | undefined)[]): Promise<void> {
    await Promise.all(this.sockets.map(({ socket }) => closed(socket)))
    expect(this.sockets.map(({ closes }) => closes)).toEqual(codes.map((code = expect.any(Number)) => [code]))
    for (const { carriedBy } of this.sockets) expect([...carriedBy]).toEqual([this.transport])
    if (!this.#cuts) return
    expect(this.#struck).toBeGreaterThan(1)
    // HTTP loses exchanges, and goes on.
    if (this.transport !== 'websocket') return
    for (const { socket } of this.sockets) expect(lostCarriers(socket)).toBeGreaterThan(0)
  }
}

/** Runs the library's work on each transport, quietly and through cuts. */
export function onEachTransport(
  library: string,
  work: (setting: Setting) => Promise<void>,
  makeServer?: () => Server | Promise<Server>,
): void {
  describe(library, () => {
    describe.each(transports)('%s', (transport) => {
      test.each([
        ['quietly', false],
        ['through cuts', true],
      ])('%s', async (_name, cuts) => work(await Setting.make(transport, cuts, await makeServer?.())))
    })
  })
}

/** All numbers below `count`, as they should have come. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** Bytes of which each place can be told. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255)
}

/** The next client that a server of ours is shown. */
export function nextClient(realtime: WebSocketServer): Promise<Socket> {
  return new Promise((resolve) => realtime.once('connection', resolve))
}

function watch(socket: WebSocket): Seen {
  const seen: Seen = { socket, carriedBy: new Set(), closes: [] }
  const carried = (): void => {
    if (socket.transport) seen.carriedBy.add(socket.transport)
  }
  socket.addEventListener('open', carried)
  socket.addEventListener('transportchange', carried)
  socket.addEventListener('close', ({ code }: CloseEvent) => seen.closes.push(code))
  return seen
}

function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve()
  return new Promise((resolve) => socket.addEventListener('close', () => resolve()))
}

/** How many carriers the network has taken from it. */
function lostCarriers(socket: WebSocket): number {
  return socket.diary.filter((entry) => entry.type === 'carrier' && entry.proven && entry.by === 'network')
    .length
}
