// What a server says beside messages has bounds, and its place: what is larger, or comes too early, is none of ours.
import { expect, onTestFinished, test } from 'vitest'
import type { Platform } from '../../client/socket/platform.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import { Status, writeAnswerHead, writeRecord } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { maxControl } from '../../shared/limits.ts'
import { encodeText } from '../../shared/text.ts'
import { open, platform, sockets, WebSocket } from './fakes.ts'

const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }
const nowhere = { number: 0, offset: 0 }
const text = (more: object): string => controlText('welcome', JSON.stringify({ ...welcome, ...more }))

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
  ['a pong', controlText('pong', '')],
  ['an acknowledgement', controlText('ack', '0')],
  ['a close', controlText('close', '1000,bye')],
  ['a message', 'hello'],
  ['nonsense', '\0?'],
])('%s before the welcome: the connection is none of ours', (_what, said) => {
  const { socket, native, why } = connecting()
  native.receive(said)
  expect([socket.readyState, native.closed]).not.toEqual([1, false])
  expect(native.closed).toBe(true)
  expect(why()).toMatchObject({ why: 'not ours', by: 'network' })
})

test('a second welcome: the connection is given up, the session goes on', () => {
  const { socket, native } = open()
  native.receive(text({}))
  expect([socket.readyState, native.closed]).toEqual([1, true])
  expect(socket.diary.find((entry) => entry.type === 'carrier')).toMatchObject({ why: 'not ours' })
})

/** A socket whose server answers each request over HTTP with a welcome. */
function connectingOverHttp(more: object): WebSocket {
  const to = new ByteWriter()
  writeAnswerHead(to, { status: Status.ok, has: nowhere, at: nowhere })
  writeRecord(to, 'welcome', encodeText(JSON.stringify({ ...welcome, ...more })))
  const post: Platform['post'] = () => {
    const chunks = [to.whole()]
    const read = async () => ({ value: chunks.shift() })
    return Promise.resolve({ status: 200, statusText: 'OK', body: { getReader: () => ({ read }) } })
  }
  class OverHttp extends WebSocket {
    protected static override readonly platform: Platform = { ...platform, ownTasks: false, post }
  }
  const socket = new OverHttp('ws://server.example/', { transports: ['polling'], remember: false })
  onTestFinished(() => socket.close())
  return socket
}

test('over HTTP, too, a welcome of ordinary size opens', async () => {
  const socket = connectingOverHttp({ later: 'x'.repeat(1000) })
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  expect(socket.readyState).toBe(1)
})

test('over HTTP, too, a welcome that is too large is none of ours', async () => {
  const socket = connectingOverHttp({ later: 'x'.repeat(maxControl) })
  const ended = () => socket.diary.find((entry) => entry.type === 'carrier' && entry.why)
  await expect.poll(ended).toMatchObject({ why: 'not ours', by: 'network' })
  expect(socket.readyState).toBe(0)
})
