// Libraries that connect anew when a connection is lost: with ours none is.
import PartySocket from 'partysocket/ws'
import ReconnectingWebSocket from 'reconnecting-websocket'
import { expect } from 'vitest'
import { bytes, numbers, onEachTransport, type Setting } from './setting.ts'

const count = 300

interface Reconnecting extends Pick<globalThis.WebSocket, 'send' | 'close' | 'protocol' | 'binaryType'> {
  readonly retryCount: number
  addEventListener(type: 'open', listener: () => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
}

async function work(setting: Setting, socket: Reconnecting): Promise<void> {
  setting.serve().on('connection', (client) => {
    client.on('message', (data, isBinary) => {
      if (String(data) === 'goodbye') client.close(4007, 'Goodbye')
      else client.send(data, { binary: isBinary })
    })
  })
  socket.binaryType = 'arraybuffer'
  const events: string[] = []
  const messages: unknown[] = []
  socket.addEventListener('open', () => events.push('open'))
  socket.addEventListener('message', ({ data }) => {
    messages.push(data)
    if (typeof data === 'string') steps.ended()
  })
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => {
      events.push(`close ${code} ${reason}`)
      resolve()
    })
  })
  const steps = setting.steps(count, (i) => socket.send(`${i}`))
  await steps.all
  expect(messages.map(Number)).toEqual(numbers(count))
  const large = new Promise<unknown>((resolve) => {
    socket.addEventListener('message', ({ data }) => resolve(data))
  })
  socket.send(bytes(1_000_000))
  expect(Buffer.compare(new Uint8Array((await large) as ArrayBuffer), bytes(1_000_000))).toBe(0)
  expect(socket.protocol).toBe('echo')
  expect(socket.retryCount).toBe(0)
  socket.send('goodbye')
  await closed
  expect(events).toEqual(['open', 'close 4007 Goodbye'])
  // It was not asked to close, and would connect again.
  socket.close()
  await setting.finished(4007)
}

onEachTransport('reconnecting-websocket', (setting) => {
  const { WebSocket } = setting
  // Its types speak of an ES module, which it is not in Node.
  const Class = ReconnectingWebSocket as unknown as typeof ReconnectingWebSocket.default
  return work(setting, new Class(setting.url, 'echo', { WebSocket }) as Reconnecting)
})

onEachTransport('partysocket', (setting) => {
  const { WebSocket } = setting
  return work(setting, new PartySocket(setting.url, 'echo', { WebSocket }) as unknown as Reconnecting)
})
