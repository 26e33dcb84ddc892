// Socket.IO's own connections are ours here: it is given the class on both sides, and its own polling is off.
import { createRequire } from 'node:module'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { expect, onTestFinished } from 'vitest'
import { attachFallbacks, WebSocketServer } from '../../server/index.ts'
import { bytes, numbers, onEachTransport } from './setting.ts'

const count = 300

// Socket.IO does not hand it on.
const { WebSocket: BrowserTransport } = createRequire(
  createRequire(import.meta.url).resolve('socket.io-client'),
)('engine.io-client') as typeof import('engine.io-client')

onEachTransport('Socket.IO', async (setting) => {
  const server = new Server(setting.server, { wsEngine: WebSocketServer, transports: ['websocket'] })
  onTestFinished(() => server.close())
  attachFallbacks(setting.server, '/socket.io')
  const seen: string[] = []
  server.of('/chat').on('connection', (socket) => {
    socket.on('echo', (value: unknown, done: (value: unknown) => void) => done(value))
    socket.on('room', () => socket.join('room'))
    socket.on('goodbye', () => socket.disconnect(true))
    socket.on('disconnect', (reason) => seen.push(reason))
  })
  class Transport extends BrowserTransport {
    override createSocket(uri: string): globalThis.WebSocket {
      return new setting.WebSocket(uri) as unknown as globalThis.WebSocket
    }
  }
  const events: string[] = []
  const socket = io(`${setting.url}/chat`, { transports: [Transport], forceNew: true })
  socket.on('connect', () => events.push('connect'))
  socket.on('connect_error', ({ message }) => events.push(message))
  socket.on('disconnect', (reason) => events.push(reason))
  socket.io.on('reconnect_attempt', (attempt) => events.push(`attempt ${attempt}`))
  socket.emit('room')
  const answers: unknown[] = []
  const rooms: unknown[] = []
  const steps = setting.steps(count, (i) => {
    socket.emit('echo', i, (value: unknown) => {
      answers.push(value)
      server.of('/chat').to('room').emit('heard', value)
    })
  })
  socket.on('heard', (value) => {
    rooms.push(value)
    steps.ended()
  })
  await steps.all
  expect(answers).toEqual(numbers(count))
  expect(rooms).toEqual(numbers(count))
  const large = await socket.emitWithAck('echo', { file: Buffer.from(bytes(900_000)) })
  expect(Buffer.compare(Buffer.from(large.file), bytes(900_000))).toBe(0)
  const closed = new Promise((resolve) => socket.on('disconnect', resolve))
  socket.emit('goodbye')
  await closed
  await setting.finished(1005)
  expect(events).toEqual(['connect', 'io server disconnect'])
  expect(seen).toEqual(['server namespace disconnect'])
})
