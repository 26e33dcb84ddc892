// The status of a socket and its event, on each transport: after the event that changed it, and each change once.
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { serve } from '../support/serving.ts'

const transports = ['websocket', 'stream', 'sse', 'polling'] as const

test.each(transports)('over %s: open, resuming, open again, closed', async (transport) => {
  const { port, connections } = await serve()
  const network = await hostileNetwork(port)
  onTestFinished(() => network.close())
  const socket = new WebSocket(network.url, { transports: [transport], remember: false })
  const log: string[] = []
  for (const type of ['open', 'close'] as const) socket.addEventListener(type, () => log.push(type))
  socket.onstatuschange = () => log.push(socket.status)
  expect(socket.status).toBe('connecting')
  await once(socket, 'open')
  expect(socket.status).toBe('open')
  const { socket: server } = await connections.next()
  network.set({ connections: 'refuse' })
  network.cut()
  await once(socket, 'statuschange')
  while (socket.status !== 'resuming') await once(socket, 'statuschange')
  expect(socket).toMatchObject({ readyState: 1, transport: null })
  network.set({ connections: 'pass' })
  await once(socket, 'statuschange')
  expect(socket.status).toBe('open')
  server.close(4000)
  await once(socket, 'close')
  expect(socket.status).toBe('closed')
  await new Promise(setImmediate)
  expect(log).toEqual(['open', 'open', 'resuming', 'open', 'close', 'closed'])
})

test.each(transports)(
  'over %s: an end that waits for a pause is no loss of the connection',
  async (transport) => {
    const { url, connections } = await serve()
    const socket = new WebSocket(url, { transports: [transport], remember: false })
    const [{ socket: server }] = await Promise.all([connections.next(), once(socket, 'open')])
    socket.pause()
    server.terminate()
    const isOver = () => socket.diary.every((entry) => !('epoch' in entry) || entry.ended !== undefined)
    await expect.poll(isOver).toBe(true)
    expect(socket).toMatchObject({ readyState: 1, status: 'open', transport })
    socket.resume()
    expect((await once(socket, 'close'))[0]).toBe(1006)
    expect(socket).toMatchObject({ status: 'closed', transport: null })
  },
)

test('while it closes it is what its connection is', async () => {
  const { url } = await serve()
  for (const session of [true, false]) {
    const socket = new WebSocket(url, { session })
    const log: string[] = []
    socket.onstatuschange = () => log.push(socket.status)
    await once(socket, 'open')
    socket.close()
    expect(socket).toMatchObject({ readyState: 2, status: 'open' })
    await once(socket, 'close')
    await new Promise(setImmediate)
    expect(log).toEqual(['open', 'closed'])
  }
})

test('an opening that is refused is closed, after its events', async () => {
  const socket = new WebSocket('ws://127.0.0.1:1/', { patience: 0, remember: false })
  const log: string[] = []
  for (const type of ['error', 'close', 'statuschange'] as const)
    socket.addEventListener(type, () => log.push(`${type} ${socket.status}`))
  await new Promise((resolve) => socket.addEventListener('statuschange', resolve))
  expect(log).toEqual(['error closed', 'close closed', 'statuschange closed'])
})
