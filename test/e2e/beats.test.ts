// Many applications take a client for gone that does not answer a ping. A lost connection must not look like that.
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { Line } from '../support/line.ts'

test.each([
  ['websocket', 'to client'],
  ['websocket', 'to server'],
  ['stream', 'to client'],
  ['stream', 'to server'],
  ['sse', 'to client'],
  ['polling', 'to client'],
  ['polling', 'to server'],
] as const)('%s: a ping that is lost on its way %s is asked again', async (transport, direction) => {
  // Far longer than the test: no heartbeat of the connection's own is to help.
  const line = await Line.lay({ heartbeat: 600_000 })
  const { client, server } = await line.open({ transports: [transport] })
  client.socket.send('hello')
  await server.untilMessages(1)
  const pong = once(server.socket, 'pong')
  const cut = line.next(direction, () => line.network.cut())
  server.socket.ping('there?')
  await cut
  expect(String((await pong)[0])).toBe('there?')
  expect(client.life).toEqual(['open'])
})
