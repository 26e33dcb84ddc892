// An answer behind another one on its connection is not told by Node when that connection ends: nothing of it may stay.
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { bodyOf, RawClient } from '../support/raw-client.ts'
import { end } from '../support/serving.ts'

test('it is counted while it waits, and not any more when its connection has ended', async () => {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const sockets: Socket[] = []
  const server = createServer((request, response) => {
    sockets.push(request.socket)
    if (request.url !== '/slow') realtime.middleware(request, response)
  })
  const port = await listen(server)
  const body = bodyOf(new RawClient('http://localhost/').head())
  const post = `POST /?everwire=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`
  const connection = connect(port, '127.0.0.1')
  connection.write(`GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n${post}`)
  connection.write(body)
  await expect.poll(() => realtime.memory).toBeGreaterThan(0)
  const closed = once(sockets[0] as Socket, 'close')
  connection.destroy()
  await closed
  expect(realtime.memory).toBe(0)
})

test('many that wait on one connection are not many listeners of it, which Node would warn of', async () => {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const sockets: Socket[] = []
  const answers: ServerResponse[] = []
  const server = createServer((request, response) => {
    sockets.push(request.socket)
    if (request.url === '/slow') return
    answers.push(response)
    realtime.middleware(request, response)
  })
  const port = await listen(server)
  const connection = connect(port, '127.0.0.1')
  const forPage = 'GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n'
  connection.write(`GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n${forPage.repeat(20)}`)
  await expect.poll(() => answers.filter((answer) => answer.writableEnded).length).toBe(20)
  expect(realtime.memory).toBeGreaterThan(0)
  const [socket] = sockets as [Socket]
  expect(socket.listenerCount('close')).toBeLessThan(10)
  const closed = once(socket, 'close')
  connection.destroy()
  await closed
  expect(realtime.memory).toBe(0)
})
