// What a server says beside messages has bounds, and its place: what is larger, or comes too early, is none of ours.
import { expect, test } from 'vitest'
import { maxControl } from '../../shared/limits.ts'
import { encodeServerControl } from '../../shared/server-control.ts'
import { open, sockets, WebSocket } from './fakes.ts'

const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }
const text = (more: object): string => encodeServerControl({ kind: 'welcome', ...welcome, ...more } as never)

function connecting(): { socket: WebSocket; native: (typeof sockets)[number]; why: () => unknown } {
  const socket = new WebSocket('ws://server.example/', { transports: ['websocket'], remember: false })
  const why = () => socket.diary.find((entry) => entry.type === 'carrier' && entry.why)
  return { socket, native: sockets.at(-1)!, why }
}

test('a welcome of ordinary size opens, whatever else it says', () => {
  const { socket, native } = connecting()
  native.receive(text({ later: 'x'.repeat(1000) }))
  expect(socket.readyState).toBe(1)
})

test.each([
  ['a welcome that is too large', text({ later: 'x'.repeat(maxControl) })],
  ['a message', 'hello'],
  ['nonsense', '\0?'],
])('%s before the welcome: the connection is none of ours', (_what, said) => {
  const { socket, native, why } = connecting()
  native.receive(said)
  expect([socket.readyState, native.closed]).not.toEqual([1, false])
  expect(native.closed).toBe(true)
  expect(why()).toMatchObject({ why: 'not ours', by: 'network' })
})

test.each([
  ['a pong', '\0q'],
  ['a ping', '\0phey'],
  ['an acknowledgement', '\0a5'],
  ['a close', '\0c1000,bye'],
  ['a pause', '\0z1'],
])('%s before the welcome is not heard', (_what, said) => {
  const { socket, native } = connecting()
  native.receive(said)
  expect([socket.readyState, native.closed]).toEqual([0, false])
  native.receive(text({}))
  expect([socket.readyState, native.closed]).toEqual([1, false])
})

test('a welcome that is too large, in the middle of a session: the session ends as at any malformed frame', () => {
  const { socket, native } = open()
  native.receive(text({ later: 'x'.repeat(maxControl) }))
  expect(native.sent.at(-1)).toBe('\0c1002,malformed frame')
  expect(socket.diary.at(-1)).toMatchObject({ type: 'close', reason: 'malformed frame' })
})
