/** The echo server that the suite needs: it sends each message back, with its kind. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { end } from '../support/serving.ts'

/** Listens until the test is through. `Server` may be a copy with a bug. */
export async function echo(
  finished: (done: () => Promise<void>) => void,
  options: ServerOptions = {},
  Server: typeof WebSocketServer = WebSocketServer,
): Promise<string> {
  const realtime = new Server({ port: 0, host: '127.0.0.1', path: '/echo', ...options })
  realtime.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(isBinary ? (data as Buffer) : String(data)))
    // Malformed input ends the session; the suite looks at that from its end.
    socket.on('error', () => {})
  })
  finished(() => end(realtime))
  await once(realtime, 'listening')
  return `http://127.0.0.1:${(realtime.address() as AddressInfo).port}/echo`
}
