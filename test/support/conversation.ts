// The server's part of a conversation, and the network that it cuts in the middle.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Transport } from '../../client/base/types.ts'
import { WebSocketServer } from '../../server/index.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'

/** What the client's part says in the end. */
export interface Told {
  readonly events: string[]
  readonly transports: string[]
  readonly tried: string[]
}

/** All of it, once and in order, whatever carries it. */
export const wholeConversation: readonly string[] = [
  'open talk',
  'héllo 🚀',
  'bytes 1 254 255',
  'after the cut',
  '300000 characters',
  'close 4321 bÿe true',
]

export class Conversation {
  readonly network: HostileNetwork
  /** How each client came to its end. */
  readonly ends: string[] = []
  /** What each client came with. */
  readonly headers: IncomingHttpHeaders[] = []
  readonly #server: Server
  readonly #realtime: WebSocketServer

  private constructor(server: Server, realtime: WebSocketServer, network: HostileNetwork) {
    this.#server = server
    this.#realtime = realtime
    this.network = network
    realtime.on('connection', (socket, request) => {
      this.headers.push(request.headers)
      socket.on('message', (data, isBinary) => {
        socket.send(data, { binary: isBinary })
        if (!isBinary) return
        // What was just sent may be lost on its way.
        network.cut()
        socket.send('after the cut')
      })
      socket.on('close', (code, reason) => this.ends.push(`${code} ${reason}`))
    })
  }

  /** `pages`: what is answered beside the conversation. */
  static async begin(pages: RequestListener = (_, response) => void response.end()): Promise<Conversation> {
    const server = createServer(pages)
    const realtime = new WebSocketServer({ server, path: '/realtime' })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const network = await hostileNetwork((server.address() as AddressInfo).port)
    return new Conversation(server, realtime, network)
  }

  get url(): string {
    return `${this.network.url}/realtime`
  }

  /** What has to come of one that may use these alone. */
  static over(transport: Transport): Told {
    return { events: [...wholeConversation], transports: [transport], tried: [transport] }
  }

  async end(): Promise<void> {
    for (const socket of this.#realtime.clients) socket.terminate()
    await new Promise<void>((resolve) => this.#realtime.close(() => resolve()))
    await this.network.close()
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
