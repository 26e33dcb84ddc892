// What a redirect leads to is somebody else: nothing of a client's goes there, on any transport.
import { createServer, type IncomingMessage } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'
import { end } from '../support/serving.ts'

test('an event stream that is redirected is not followed: its headers are not for others', async () => {
  const seen: IncomingMessage[] = []
  const stranger = createServer((request, response) => {
    seen.push(request)
    response.writeHead(404).end()
  })
  const elsewhere = await listen(stranger)
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const streams = new Queue<string>()
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      streams.push(request.url ?? '')
      response.writeHead(302, { Location: `http://127.0.0.1:${elsewhere}/` }).end()
    } else realtime.middleware(request, response, () => response.writeHead(404).end())
  })
  const port = await listen(server)
  const headers = { 'X-Api-Key': 'secret' }
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { transports: ['sse'], remember: false, headers })
  onTestFinished(() => socket.close())
  // By the second the first is over.
  await streams.next()
  await streams.next()
  expect(seen.map((request) => request.headers['x-api-key'])).toEqual([])
})
