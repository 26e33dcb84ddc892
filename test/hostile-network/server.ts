// A server to stand behind a bad network: nothing of everwire, only node:http and ws, and a record of what reached it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onTestFinished, vi } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { type HostileNetwork, type HostileNetworkOptions, hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'

export interface Reached {
  readonly request: IncomingMessage
  readonly body: string
}

export interface Behind {
  readonly network: HostileNetwork
  /** What reached the server, whole, in the order in which it was whole. */
  readonly reached: Reached[]
  /** Requests for `/open`: the test answers them. */
  readonly answers: Queue<ServerResponse>
  readonly webSockets: Queue<WebSocket>
  readonly port: number
}

/**
 * `/open` is answered by the test; a POST with its number and its body; anything else with `hello`. WebSockets echo.
 */
export async function behind(options: HostileNetworkOptions = {}): Promise<Behind> {
  const reached: Reached[] = []
  const answers = new Queue<ServerResponse>()
  const webSockets = new Queue<WebSocket>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const body = Buffer.concat(chunks).toString()
    reached.push({ request, body })
    if (request.url === '/open') answers.push(response)
    else response.end(request.method === 'POST' ? `${reached.length}: ${body}` : 'hello')
  })
  const realtime = new WebSocketServer({ server })
  realtime.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data, binary) => socket.send(data, { binary }))
    webSockets.push(socket)
  })
  const port = await listen(server)
  const network = await hostileNetwork(port, options)
  onTestFinished(() => network.close())
  return { network, reached, answers, webSockets, port }
}

/** The names of the faults that strike from now on, and a way to wait for the next. */
export function struck(network: HostileNetwork): Queue<string> {
  const names = new Queue<string>()
  network.on('fault', (name) => names.push(name))
  return names
}

/**
 * From now on time passes in this process only when the test says so: no limit strikes because the machine is slow.
 * It begins at 0, so it comes before the network that is to go by it.
 */
export function ownClock(): { pass(ms: number): void } {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  return { pass: (ms) => void vi.advanceTimersByTime(ms) }
}
