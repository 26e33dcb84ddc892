import { randomUUID } from 'node:crypto'
import { Aedes } from 'aedes'
import mqtt from 'mqtt'
import { expect, onTestFinished } from 'vitest'
import { createWebSocketStream } from 'ws'
import { bytes, numbers, onEachTransport } from './setting.ts'

const count = 300

onEachTransport('MQTT.js and Aedes', async (setting) => {
  const broker = await Aedes.createBroker()
  onTestFinished(() => new Promise<void>((resolve) => broker.close(resolve)))
  const faults: string[] = []
  broker.on('clientError', (_client, { message }) => faults.push(message))
  setting.serve().on('connection', (socket, request) => {
    broker.handle(createWebSocketStream(socket), request)
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
  await client.subscribeAsync({ numbers: { qos: 1 }, files: { qos: 1 } })
  expect(setting.sockets[0]?.socket.protocol).toBe('mqtt')
  const heard: unknown[] = []
  const files: Buffer[] = []
  client.on('message', (topic, payload) => {
    if (topic === 'numbers') heard.push(Number(payload))
    else files.push(payload)
    if (topic === 'numbers') steps.ended()
  })
  const steps = setting.steps(count, (i) => client.publish('numbers', `${i}`, { qos: 1 }))
  await steps.all
  expect(heard).toEqual(numbers(count))
  await client.publishAsync('files', Buffer.from(bytes(1_000_000)), { qos: 1 })
  expect(files.map((file) => Buffer.compare(file, bytes(1_000_000)))).toEqual([0])
  await client.endAsync()
  await setting.finished(1005)
  expect(events).toEqual(['connect', 'close'])
  expect(faults).toEqual([])
})
