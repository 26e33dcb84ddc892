// A socket as a stream: what is written to it, over a transport on which each answer is a round trip, and how it ends.
import { expect, test } from 'vitest'
import { createWebSocketStream, type Socket } from '../../server/index.ts'
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

test.each([
  ['closing', (socket: Socket) => socket.close(), 'readyState 2 (CLOSING)'],
  ['closed', (socket: Socket) => socket.terminate(), 'readyState 3 (CLOSED)'],
])('what is written when it is %s is an error', async (what, end, state) => {
  const { socket } = await openSession()
  const stream = createWebSocketStream(socket)
  const closed = what === 'closed' && new Promise((resolve) => socket.prependListener('close', resolve))
  end(socket)
  await closed
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve))
  stream.write('late')
  expect((await failed).message).toBe(`WebSocket is not open: ${state}`)
  socket.terminate()
})

test('what goes wrong while it is being destroyed is not swallowed', async () => {
  const { socket } = await openSession()
  const stream = createWebSocketStream(socket)
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve))
  const over = new Promise((resolve) => stream.once('close', resolve))
  stream.destroy()
  socket.emit('error', new Error('too late to help'))
  expect((await failed).message).toBe('too late to help')
  await over
})
