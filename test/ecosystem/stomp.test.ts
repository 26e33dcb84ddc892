import { Client, type IMessage, Versions } from '@stomp/stompjs'
import { expect } from 'vitest'
import type { Socket } from '../../server/index.ts'
import { bytes, numbers, onEachTransport } from './setting.ts'

const count = 300

/** As much of a broker as the test needs: one frame a message, subscriptions of the one who sends. */
function broker(socket: Socket): void {
  const subscriptions = new Map<string, string>()
  let sent = 0
  const send = (command: string, headers: Record<string, string>, body: Buffer = Buffer.alloc(0)): void => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
    const head = `${command}\n${lines.join('')}content-length:${body.length}\n\n`
    socket.send(Buffer.concat([Buffer.from(head), body, Buffer.of(0)]), { binary: true })
  }
  socket.on('message', (data) => {
    const frame = data as Buffer
    const end = frame.indexOf('\n\n')
    if (end < 0) return
    const [command = '', ...lines] = frame.toString('utf8', 0, end).split('\n')
    const headers = Object.fromEntries(lines.map((line) => line.split(/:(.*)/, 2))) as Record<string, string>
    const { destination = '', id = '', receipt } = headers
    if (command === 'CONNECT') send('CONNECTED', { version: '1.2', 'heart-beat': '0,0' })
    else if (command === 'SUBSCRIBE') subscriptions.set(destination, id)
    else if (command === 'SEND') {
      const body = frame.subarray(end + 2, -1)
      const subscription = subscriptions.get(destination) ?? ''
      send('MESSAGE', { destination, subscription, 'message-id': String(sent++) }, body)
    }
    if (receipt !== undefined) send('RECEIPT', { 'receipt-id': receipt })
    if (command === 'DISCONNECT') socket.close(4001, 'Goodbye')
  })
}

onEachTransport('STOMP', async (setting) => {
  const realtime = setting.serve()
  realtime.on('connection', broker)
  const events: string[] = []
  const client = new Client({
    webSocketFactory: () => new setting.WebSocket(setting.url, Versions.default.protocolVersions()),
    reconnectDelay: 10,
    onWebSocketClose: ({ code, reason }: CloseEvent) => events.push(`close ${code} ${reason}`),
  })
  await new Promise<void>((resolve) => {
    client.onConnect = () => {
      events.push('connect')
      resolve()
    }
    client.activate()
  })
  expect(setting.sockets[0]?.socket.protocol).toBe('v12.stomp')
  const all: string[] = []
  const destination = '/numbers'
  client.subscribe(destination, ({ body }) => {
    all.push(body)
    steps.ended()
  })
  const steps = setting.steps(count, (i) => client.publish({ destination, body: `${i}` }))
  await steps.all
  expect(all.map(Number)).toEqual(numbers(count))
  const { binaryBody } = await new Promise<IMessage>((resolve) => {
    client.subscribe('/files', resolve)
    client.publish({ destination: '/files', binaryBody: bytes(1_000_000) })
  })
  expect(Buffer.compare(binaryBody, bytes(1_000_000))).toBe(0)
  await client.deactivate()
  await setting.finished(4001)
  expect(events).toEqual(['connect', 'close 4001 Goodbye'])
})
