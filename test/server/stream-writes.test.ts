// What is written to a socket as a stream, over a transport on which each answer is a round trip.
import { expect, test } from 'vitest'
import { createWebSocketStream } from '../../server/index.ts'
import { openSession } from '../support/serving.ts'

test('small pieces go together', async () => {
  const { client, socket } = await openSession()
  const stream = createWebSocketStream(socket)
  for (const piece of ['one', 'two', 'three']) stream.write(piece)
  await client.poll()
  expect(client.received.map(String)).toEqual(['one', 'two', 'three'])
})

test('large ones wait until those before them have gone', async () => {
  const { client, socket } = await openSession()
  const stream = createWebSocketStream(socket)
  const large = Buffer.alloc(stream.writableHighWaterMark)
  for (let i = 0; i < 3; i++) stream.write(large)
  for (let i = 1; i <= 3; i++) {
    await client.poll()
    expect(client.received).toHaveLength(i)
  }
})
