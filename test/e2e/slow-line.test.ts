// A large message on a line so slow that its silence could be taken for death: it is not begun again and again.
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { serve } from '../support/serving.ts'

const size = 1_000_000
/** 0.8 Mbit/s: ten seconds for the message, where 2 Mbit/s are assumed at first. */
const bandwidth = 100_000

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const cases = transports.flatMap((transport) => [[transport, 'down'] as const, [transport, 'up'] as const])

test.concurrent.each(cases)('%s, %s', async (transport, way) => {
  const { port, realtime } = await serve({ path: '/realtime' })
  const net = await hostileNetwork(port, { bandwidth, delay: 25 })
  onTestFinished(() => net.close())
  const arrived: number[] = []
  const got = new Promise<void>((resolve) => {
    realtime.on('connection', (socket) => {
      if (way === 'down') socket.send(new Uint8Array(size))
      socket.on('message', (data) => {
        arrived.push((data as Buffer).length)
        resolve()
      })
    })
  })
  const socket = new WebSocket(`ws://127.0.0.1:${net.port}/realtime`, {
    transports: [transport],
    remember: false,
  })
  onTestFailed(() => console.log(transport, way, JSON.stringify(socket.diary)))
  socket.binaryType = 'arraybuffer'
  const seen: string[] = []
  for (const type of ['open', 'error', 'close'] as const) socket.addEventListener(type, () => seen.push(type))
  const received = new Promise<void>((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      arrived.push(data.byteLength)
      resolve()
    })
  })
  if (way === 'up') socket.addEventListener('open', () => socket.send(new Uint8Array(size)))
  await (way === 'up' ? got : received)
  expect(arrived).toEqual([size])
  expect(seen).toEqual(['open'])
  // Where messages go in pieces, one that is begun again goes on where it was.
  const carriers = socket.diary.filter((entry) => entry.type === 'carrier' && entry.proven !== undefined)
  const taken = carriers.filter((entry) => entry.type === 'carrier' && entry.why !== 'the line is busy')
  expect(taken.length, JSON.stringify(socket.diary)).toBeLessThan(transport === 'websocket' ? 2 : 5)
  socket.close()
})
