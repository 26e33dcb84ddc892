// A server that answers at once and has nothing to say: it is asked less and less often. The clock is the test's own.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Answer, NativeEventSource, PostInit } from '../../client/base/natives.ts'
import type { Transport } from '../../client/base/types.ts'
import { readEvents } from '../../client/carriers/events.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { WebSocket as Base } from '../../client/socket/websocket-class.ts'
import { ByteReader, ByteWriter } from '../../shared/bytes.ts'
import { Ask, readRequestHead, writeAnswerHead, writeRecord } from '../../shared/exchange.ts'
import { encodeText } from '../../shared/text.ts'

interface Behaviour {
  /** Whether there is ever a welcome. */
  opens?: boolean
  /** A message in each held answer. */
  speaks?: boolean
  pings?: boolean
  gives?: 'tickets' | 'nothing'
}

let behaviour: Behaviour
let requests = 0
let said = 0

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  requests = said = 0
})
afterEach(() => void vi.useRealTimers())

function bodyOf(ask: number): Uint8Array<ArrayBuffer> {
  const { opens = true, speaks, pings, gives = 'tickets' } = behaviour
  const to = new ByteWriter()
  const held = (ask & Ask.hold) !== 0
  writeAnswerHead(to, { status: 0, has: { number: 0, offset: 0 }, at: { number: said, offset: 0 } })
  if (opens && ask & Ask.open) {
    const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }
    writeRecord(to, 'welcome', encodeText(JSON.stringify(welcome)))
  }
  if (ask & Ask.ticket && gives === 'tickets') writeRecord(to, 'ticket', encodeText('t'))
  if (ask & Ask.stream && held) writeRecord(to, 'pong', encodeText(''))
  if (pings) writeRecord(to, 'ping', encodeText('you'))
  if (speaks && held) {
    writeRecord(to, 'text', encodeText('x'))
    said++
  }
  return to.whole()
}

function answer(body: Uint8Array): Answer {
  const chunks = [body]
  return {
    status: 200,
    statusText: 'OK',
    body: { getReader: () => ({ read: async () => ({ value: chunks.shift() }) }) },
  }
}

class WebSocket extends Base {
  protected static override readonly platform: Platform = {
    ownTasks: false,
    base: () => undefined,
    webSocket() {
      throw new Error('none')
    },
    listen(_url, signal) {
      requests++
      const source: NativeEventSource = { onmessage: null, onerror: null, close() {} }
      if (requests < 200)
        queueMicrotask(() => {
          source.onmessage?.({ data: btoa(String.fromCharCode(...bodyOf(Ask.hold | Ask.stream))) })
          source.onerror?.()
        })
      return readEvents(source, signal)
    },
    async post(_url: string, { body }: PostInit) {
      requests++
      // What never pauses is stopped: the test has seen enough.
      if (requests > (behaviour.speaks ? 5000 : 200)) return await new Promise<Answer>(() => {})
      return answer(bodyOf(readRequestHead(new ByteReader(body)).ask))
    },
    task: queueMicrotask,
    closeEvent: (init) => Object.assign(new Event('close'), init),
    store: () => undefined,
  }
}

async function fiveSeconds(transport: Transport, how: Behaviour): Promise<string[]> {
  behaviour = how
  const socket = new WebSocket('ws://server.example/', { transports: [transport], remember: false })
  const heard: string[] = []
  socket.onmessage = ({ data }) => heard.push(data)
  await vi.advanceTimersByTimeAsync(5000)
  socket.close()
  return heard
}

test.each<[Transport, Behaviour]>([
  ['polling', {}],
  ['polling', { pings: true }],
  ['stream', {}],
  ['stream', { pings: true }],
  ['sse', {}],
  ['sse', { gives: 'nothing' }],
  ['polling', { opens: false }],
  ['stream', { opens: false }],
])('%s: %o: is asked at most 25 times in 5 s', async (transport, how) => {
  await fiveSeconds(transport, how)
  expect(requests).toBeGreaterThan(5)
  expect(requests).toBeLessThanOrEqual(25)
})

test.each<Transport>(['polling', 'stream'])(
  '%s: who has something to say is not kept waiting',
  async (transport) => {
    const heard = await fiveSeconds(transport, { speaks: true })
    expect(heard.length).toBeGreaterThan(2000)
  },
)
