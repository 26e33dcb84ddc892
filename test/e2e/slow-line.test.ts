// A large message on a line so slow that its silence could be taken for death: it is not begun again and again.
import { expect, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { serve } from '../support/serving.ts'

const size = 1_000_000
/** 0.8 Mbit/s: ten seconds for the message, where 2 Mbit/s are assumed at first. */
const bandwidth = 100_000

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const cases = transports.flatMap((transport) => [[transport, 'down'] as const, [transport, 'up'] as const])

test.concurrent.for(cases)('%s, %s', async ([transport, way], { onTestFailed, onTestFinished }) => {
  const { port, realtime } = await serve({ path: '/realtime' }, onTestFinished)
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
  // Where the machine was so slow that to connect took long from the start, a busy line looks no different: once it is begun again.
  const [first] = carriers
  const told = first?.type === 'carrier' && (first.proven as number) < 350
  const most = transport !== 'websocket' ? 4 : told ? 1 : 2
  expect(taken.length, JSON.stringify(socket.diary)).toBeLessThanOrEqual(most)
  socket.close()
})
