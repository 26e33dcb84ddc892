import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { Aedes } from 'aedes'
import mqtt from 'mqtt'
import { expect, onTestFinished } from 'vitest'
import { createWebSocketStream } from '../../server/index.ts'
import { bytes, numbers, onEachTransport } from './setting.ts'

const count = 300

/**
 * Aedes 1.2 reads once for each `readable` event. From Node 26 on, such a read gives the first chunk that waits, not all of them,
 * and Aedes never comes back for the others, whatever the stream is (docs/LIBRARIES.md).
 */
function readWhole(stream: Duplex): Duplex {
  const read = stream.read.bind(stream)
  const readAll = (size?: number): unknown => {
    if (typeof size === 'number') return read(size)
    const chunks: Buffer[] = []
    for (let chunk = read(); chunk !== null; chunk = read()) chunks.push(chunk)
    return chunks.length > 0 ? Buffer.concat(chunks) : null
  }
  return Object.assign(stream, { read: readAll })
}

onEachTransport('MQTT.js and Aedes', async (setting) => {
  const broker = await Aedes.createBroker()
  onTestFinished(() => new Promise<void>((resolve) => broker.close(resolve)))
  const faults: string[] = []
  broker.on('clientError', (_client, { message }) => faults.push(message))
  setting.serve().on('connection', (socket, request) => {
    broker.handle(readWhole(createWebSocketStream(socket)), request)
  })
  const events: string[] = []
  const client = mqtt.connect(setting.url, {
    clientId: randomUUID(),
    reconnectPeriod: 10,
    createWebsocket: (url, protocols) => new setting.WebSocket(url, protocols),
  })
  for (const event of ['connect', 'reconnect', 'offline', 'error', 'close'] as const) {
    client.on(event, () => events.push(event))
  }
  await client.subscribeAsync({ numbers: { qos: 0 }, answers: { qos: 1 }, files: { qos: 1 } })
  expect(setting.sockets[0]?.socket.protocol).toBe('mqtt')
  const heard: Record<string, number[]> = { numbers: [], answers: [] }
  client.on('message', (topic, payload) => {
    heard[topic]?.push(Number(payload))
    if (topic === 'numbers') steps.ended()
  })
  // Every tenth event of the broker is answered, over as many round trips as the packet has parts.
  const answers: Promise<unknown>[] = []
  const steps = setting.steps(count, (i) => {
    broker.publish(
      { topic: 'numbers', payload: `${i}`, qos: 0, cmd: 'publish', retain: false, dup: false },
      () => {},
    )
    if (i % 10 === 0) answers.push(client.publishAsync('answers', `${i / 10}`, { qos: 1 }))
  })
  const answered = new Promise<void>((resolve) => {
    client.on('message', () => {
      if (heard.answers?.length === count / 10) resolve()
    })
  })
  await Promise.all([steps.all, answered, ...answers])
  expect(heard).toEqual({ numbers: numbers(count), answers: numbers(count / 10) })
  const arrived = new Promise<Buffer>((resolve) => client.once('message', (_topic, file) => resolve(file)))
  await client.publishAsync('files', Buffer.from(bytes(1_000_000)), { qos: 1 })
  expect(Buffer.compare(await arrived, bytes(1_000_000))).toBe(0)
  await client.endAsync()
  // The stream has been ended and then destroyed, which may be too soon for the other's goodbye.
  await setting.finished(undefined)
  expect(events).toEqual(['connect', 'close'])
  expect(faults).toEqual([])
})
