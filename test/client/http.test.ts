// The exchange carrier against a server in memory, whose answers are lost, cut, repeated or come in another order.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostInit } from '../../client/base/natives.ts'
import type { Transport, WebSocketOptions } from '../../client/base/types.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { WebSocket as Base } from '../../client/socket/websocket-class.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import { hear, writeControls, writeMessages } from '../../shared/carry.ts'
import {
  Ask,
  BodyReader,
  type RequestHead,
  readRequestHead,
  Status,
  writeAnswerHead,
  writeRecord,
} from '../../shared/exchange.ts'
import type { Piece } from '../../shared/frame.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { textMessage } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

type Fate =
  | 'well'
  | 'late'
  | 'request lost'
  | 'answer lost'
  | 'answer cut'
  | 'html'
  | 'twice'
  | 413
  | 401
  | 503
  | 0
type Read = { done: boolean; value?: Uint8Array }

function isData({ kind }: Piece): boolean {
  return kind === 'text' || kind === 'binary' || kind === 'close'
}

/** One session of a server; a held answer waits until there is something, or until it is told. */
class Server {
  readonly session = new Session(defaultLimits, 0)
  readonly got: string[] = []
  readonly heads: RequestHead[] = []
  link: Link | undefined
  /** What befalls the next short requests. */
  fates: Fate[] = []
  held: ((bytes: Uint8Array | undefined) => void) | undefined
  /** The stream that is held goes on after its next piece. */
  next: (() => void) | undefined
  /** Requests that are not answered until the test does it. */
  readonly late: { answer(): void; readonly signal: AbortSignal }[] = []
  /** Too much waits for the application: what comes is not taken. */
  congested = false
  maxBody = 65_536
  largest = 0

  post(body: Uint8Array): Uint8Array | number | undefined {
    this.largest = Math.max(this.largest, body.length)
    const reader = new BodyReader(readRequestHead, 1e6)
    const records = reader.push(body)
    const head = reader.head!
    const to = new ByteWriter()
    if (!this.link || head.epoch > this.link.epoch) {
      this.link = new Link(head.epoch, 0)
      this.session.attach(this.link, head.has, 0)
    }
    const repeated = this.heads.some(({ ask, serial }) => ask === head.ask && serial === head.serial)
    this.heads.push(head)
    if (head.ask & Ask.again || repeated) this.session.resend(this.link)
    this.session.ackArrived(head.has, 0)
    const at = { ...head.at }
    for (const record of this.congested ? [] : records)
      if (isData(record)) hear(this.session, this.link!, record, 0, at)
    for (let event = this.session.event(); event; event = this.session.event())
      if (event.type === 'message')
        this.got.push(typeof event.data === 'string' ? event.data : (decodeText(event.data) ?? '?'))
    if (head.ask & Ask.hold) return undefined
    this.head(to)
    if (head.ask & Ask.open) {
      const { maxBody } = this
      const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody }
      writeRecord(to, 'welcome', encodeText(JSON.stringify(welcome)))
    }
    if (this.congested) writeRecord(to, 'pause', encodeText('1'))
    this.messages(to)
    return to.whole()
  }

  head(to: ByteWriter): void {
    const { sent: number, sentOffset: offset } = this.link!
    writeAnswerHead(to, { status: Status.ok, has: this.session.received, at: { number, offset } })
  }

  messages(to: ByteWriter): void {
    writeControls(to, this.session, this.link!)
    writeMessages(to, this.session, this.link!, 1e5)
  }

  say(text: string): void {
    this.session.send(textMessage(text, text.length))
  }

  /** Answers what is held now. */
  answerHeld(): Uint8Array {
    const to = new ByteWriter()
    this.head(to)
    this.messages(to)
    return to.whole()
  }
}

/** The server of this test; clients of earlier ones, not all of which are closed, find nothing any more. */
let server: Server
let host = 0

function answer(chunks: (() => Promise<Read>)[]): Awaited<ReturnType<Platform['post']>> {
  return {
    status: 200,
    statusText: 'OK',
    body: { getReader: () => ({ read: () => chunks.shift()?.() ?? Promise.resolve({}) }) },
  }
}

async function post(url: string, { body, signal }: PostInit): ReturnType<Platform['post']> {
  if (new URL(url).hostname !== `server${host}.example`) throw new TypeError('Failed to fetch')
  const held = (body[1]! & Ask.hold) !== 0
  const fate = held ? 'well' : (server.fates.shift() ?? 'well')
  if (typeof fate === 'number') return { status: fate, statusText: 'No', body: null }
  if (fate === 'request lost') throw new TypeError('Failed to fetch')
  if (fate === 'html') return answer([async () => ({ done: false, value: encodeText('<html>') })])
  if (fate === 'twice') server.post(body)
  const whole = server.post(body)
  if (fate === 'answer lost') throw new TypeError('Failed to fetch')
  if (fate === 'late') {
    // What this answer has, the next one has, too.
    server.session.resend(server.link!)
    return await new Promise((resolve, reject) => {
      const value = whole as Uint8Array
      server.late.push({
        answer: () => resolve(answer([async () => ({ done: false, value })])),
        signal: signal!,
      })
      signal!.addEventListener('abort', () => reject(new TypeError('aborted')))
    })
  }
  if (whole instanceof Uint8Array) {
    const value = fate === 'answer cut' ? whole.subarray(0, whole.length - 1) : whole
    return answer([async () => ({ done: false, value })])
  }
  const pieces = [piece(signal!)]
  if ((body[1]! & Ask.stream) !== 0) server.next = () => void pieces.push(piece(signal!))
  return answer(pieces)
}

/** Waits for what the test gives as the next piece of the held answer; `undefined`: it is cut. */
function piece(signal: AbortSignal): () => Promise<Read> {
  const waiting = new Promise<Uint8Array | undefined>((resolve) => {
    server.held = resolve
    signal.addEventListener('abort', () => resolve(undefined))
  })
  return async () => {
    const value = await waiting
    if (value === undefined) throw new TypeError('Failed to fetch')
    return { done: false, value }
  }
}

class WebSocket extends Base {
  protected static override readonly platform: Platform = {
    ownTasks: false,
    base: () => undefined,
    webSocket() {
      throw new Error('none')
    },
    listen() {
      throw new Error('none')
    },
    post,
    task: (run) => void setImmediate(run),
    closeEvent: (init) => Object.assign(new Event('close'), init),
    store: () => undefined,
  }
}

async function open(
  transports: Transport[] = ['polling'],
  options: WebSocketOptions = {},
): Promise<{ socket: WebSocket; log: string[] }> {
  const socket = new WebSocket(`ws://server${host}.example/`, { transports, ...options })
  const log: string[] = []
  socket.onmessage = ({ data }) => log.push(data)
  socket.onclose = ({ code, reason }) => log.push(`close ${code} ${reason}`)
  await new Promise((resolve) => {
    socket.onopen = resolve
    socket.addEventListener('close', resolve)
  })
  return { socket, log }
}

beforeEach(() => {
  server = new Server()
  host++
})

test('the opening is a short exchange with open; the held one follows without', async () => {
  await open()
  await expect.poll(() => server.held).toBeDefined()
  expect(server.heads.map(({ ask, epoch, serial }) => [ask, epoch, serial])).toEqual([
    [Ask.open, 1, 1],
    [Ask.hold, 1, 1],
  ])
})

test('what is sent in one turn goes into one body', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  const before = server.heads.length
  for (const text of ['a', 'b', 'c']) socket.send(text)
  expect(socket.bufferedAmount).toBe(3)
  await expect.poll(() => server.got).toEqual(['a', 'b', 'c'])
  expect(server.heads.length).toBe(before + 1)
  await expect.poll(() => socket.bufferedAmount).toBe(0)
})

test.each<Fate>(['request lost', 'answer lost', 'answer cut', 'html', 'twice', 503])(
  'exactly once, though a short exchange goes thus: %s',
  async (fate) => {
    const { socket, log } = await open()
    await expect.poll(() => server.held).toBeDefined()
    server.fates = [fate]
    server.say('from the server')
    socket.send('a')
    await expect.poll(() => server.got).toEqual(['a'])
    socket.send('b')
    await expect.poll(() => server.got).toEqual(['a', 'b'])
    await expect.poll(() => log).toEqual(['from the server'])
  },
)

test.each<Fate>(['answer lost', 'answer cut', 503])('the opening survives: %s', async (fate) => {
  server.fates = [fate]
  const { socket } = await open()
  expect(socket.readyState).toBe(1)
})

test('a refusal of the opening is final and says why', async () => {
  server.fates = [401]
  const { log } = await open()
  expect(log).toEqual(['close 1006 polling: 401 No'])
  expect(server.heads.length).toBe(0)
})

test('what came too early waits for what was overtaken', async () => {
  const { socket, log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.say('first')
  const late = server.answerHeld()
  server.say('second')
  socket.send('makes a short exchange')
  await expect.poll(() => server.heads.at(-1)?.has.number === 0 && server.got.length).toBe(1)
  expect(log).toEqual([])
  server.held?.(late)
  await expect.poll(() => log).toEqual(['first', 'second'])
})

test('a held answer that is lost is asked for again', async () => {
  const { log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.say('lost once')
  server.answerHeld()
  server.held?.(undefined)
  await expect.poll(() => server.heads.at(-1)?.ask).toBe(Ask.hold | Ask.again)
  server.held?.(server.answerHeld())
  await expect.poll(() => log).toEqual(['lost once'])
})

test('413 makes smaller pieces, and a message in pieces arrives whole', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.fates = [413, 413]
  const text = 'x'.repeat(100_000)
  socket.send(text)
  socket.send('after')
  server.largest = 0
  await expect.poll(() => server.got.length).toBe(2)
  expect(server.got).toEqual([text, 'after'])
  expect(server.largest).toBeLessThanOrEqual(server.maxBody / 4)
  const lessons = socket.diary.filter(({ type }) => type === 'lesson')
  expect(lessons).toMatchObject([{ about: 'piece' }, { about: 'piece', value: expect.any(Number) }])
})

test('a server that takes no bodies worth speaking of is none, and is not asked for ever', async () => {
  server.maxBody = 60
  const { socket, log } = await open()
  socket.send('x'.repeat(100))
  await expect.poll(() => log).toHaveLength(1)
  expect(server.heads.length).toBeLessThan(10)
})

test('large requests that fail again and again without a word become smaller too', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.fates = [503, 503]
  const text = 'x'.repeat(100_000)
  server.largest = 0
  socket.send(text)
  await expect.poll(() => server.got.length).toBe(1)
  expect(server.got).toEqual([text])
  expect(server.largest).toBeLessThanOrEqual(server.maxBody / 2)
})

test('a redirect is not an answer, and is not followed', async () => {
  server.fates = [0, 0, 0]
  const { log } = await open()
  expect(log).toEqual(['close 1006 polling: redirected'])
})

test('while the server takes nothing the client asks without messages, and goes on when it is told', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.congested = true
  socket.send('one')
  const shorts = () => server.heads.filter(({ ask }) => !(ask & Ask.hold)).length
  const before = shorts()
  await expect.poll(shorts).toBe(before + 1)
  socket.send('two')
  expect(server.got).toEqual([])
  expect(socket.bufferedAmount).toBe(6)
  server.congested = false
  const to = new ByteWriter()
  server.head(to)
  writeRecord(to, 'pause', encodeText('0'))
  server.held?.(to.whole())
  await expect.poll(() => server.got).toEqual(['one', 'two'])
  expect(shorts()).toBe(before + 2)
  expect(socket.bufferedAmount).toBe(0)
})

test('and also when nobody tells it: it asks from time to time', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.congested = true
  socket.send('one')
  await expect.poll(() => server.heads.filter(({ ask }) => !(ask & Ask.hold)).length).toBe(2)
  server.congested = false
  await expect.poll(() => server.got).toEqual(['one'])
})

test('a stream whose first piece comes and whose second does not is given up', async () => {
  const { socket } = await open(['stream', 'polling'])
  await expect.poll(() => server.heads.at(-1)?.ask).toBe(Ask.hold | Ask.stream)
  server.held?.(server.answerHeld())
  await expect.poll(() => socket.transport).toBe('polling')
  expect(socket.diary).toMatchObject([
    { transport: 'stream', proven: expect.any(Number), why: 'held back', by: 'network' },
    { type: 'lesson', about: 'rest', transport: 'stream' },
    { type: 'lesson', about: 'rest', transport: 'sse' },
    { transport: 'polling', purpose: 'resume' },
  ])
  expect(socket.diary[0]).not.toHaveProperty('sound')
})

/** A stream with its second piece, which goes on. */
async function openStream(): Promise<Awaited<ReturnType<typeof open>>> {
  const opened = await open(['stream', 'polling'])
  await expect.poll(() => server.heads.at(-1)?.ask).toBe(Ask.hold | Ask.stream)
  const to = new ByteWriter()
  server.head(to)
  writeRecord(to, 'pong', new Uint8Array())
  giveOn(to)
  await expect.poll(() => opened.socket.diary[0]).toHaveProperty('sound')
  return opened
}

/** A piece of the stream, and not the last. */
function giveOn(to: ByteWriter): void {
  const give = server.held
  server.next?.()
  give?.(to.whole())
}

test('a stream that is shown and then held back is found out by what a short answer says it was given', async () => {
  const { socket, log } = await openStream()
  server.say('never passed on')
  server.messages(new ByteWriter())
  socket.send('makes a short exchange')
  await expect.poll(() => socket.transport).toBe('polling')
  expect(socket.diary.find((entry) => entry.type === 'carrier')).toMatchObject({
    transport: 'stream',
    why: 'held back',
  })
  await expect.poll(() => server.heads.at(-1)?.ask).toBe(Ask.hold)
  server.held?.(server.answerHeld())
  await expect.poll(() => log).toEqual(['never passed on'])
})

test('a stream that has given all it was given may be silent', async () => {
  const { socket, log } = await openStream()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    server.say('passed on')
    const to = new ByteWriter()
    server.messages(to)
    socket.send('makes a short exchange')
    await expect.poll(() => server.got).toEqual(['makes a short exchange'])
    giveOn(to)
    await expect.poll(() => log).toEqual(['passed on'])
    await vi.advanceTimersByTimeAsync(2500)
    expect(socket.transport).toBe('stream')
  } finally {
    vi.useRealTimers()
  }
})

test('three failures in a row are a lost carrier, which is resumed', async () => {
  const { socket, log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  server.fates = [503, 503, 503]
  socket.send('a')
  await expect.poll(() => server.got).toEqual(['a'])
  expect(server.link?.epoch).toBe(2)
  expect(log).toEqual([])
})

test('a pong goes with the next held request, not by itself', async () => {
  await open()
  await expect.poll(() => server.held).toBeDefined()
  const before = server.heads.length
  if (server.link) server.link.pingOwed = 'are you there'
  server.held?.(server.answerHeld())
  await expect.poll(() => server.heads.length).toBe(before + 1)
  expect(server.heads.at(-1)?.ask).toBe(Ask.hold)
})

test('once a request is held, a short exchange leaves no timer behind that would only wake the page up', async () => {
  const { socket } = await open()
  await expect.poll(() => server.held).toBeDefined()
  const set = vi.spyOn(globalThis, 'setTimeout')
  socket.send('one')
  await expect.poll(() => server.got).toEqual(['one'])
  // The first exchange is over when the second begins.
  socket.send('two')
  await expect.poll(() => server.got).toEqual(['one', 'two'])
  expect(set.mock.calls.filter(([, ms]) => !ms)).toEqual([])
  set.mockRestore()
})

test('an unknown session ends at once', async () => {
  const { log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  const to = new ByteWriter()
  writeAnswerHead(to, { status: Status.unknown, has: { number: 0, offset: 0 }, at: { number: 0, offset: 0 } })
  server.held?.(to.whole())
  await expect.poll(() => log).toEqual(['close 1006 unknown session'])
})

test('an abort with a code that is none is a lost connection', async () => {
  const { log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  const to = new ByteWriter()
  server.head(to)
  writeRecord(to, 'abort', encodeText('0,'))
  server.held?.(to.whole())
  await expect.poll(() => log).toEqual(['close 1006 malformed abort'])
})

test('a stream is taken chunk by chunk', async () => {
  const { log } = await open(['stream'])
  await expect.poll(() => server.heads.at(-1)?.ask).toBe(Ask.hold | Ask.stream)
  server.say('streamed')
  server.held?.(server.answerHeld())
  await expect.poll(() => log).toEqual(['streamed'])
})

test('the close goes both ways, and its last acknowledgement too', async () => {
  const { socket, log } = await open()
  await expect.poll(() => server.held).toBeDefined()
  socket.close(4001, 'done')
  await expect.poll(() => log[0]).toMatch(/^close 4001/)
  await expect.poll(() => server.session.done).toBe(true)
})

describe('without an answer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => void vi.useRealTimers())

  const given = () => server.late.map(({ signal }) => signal.aborted)

  /** The server answers the close on the held exchange, while the request with the close is still under way. */
  async function closing(...fates: Fate[]): Promise<void> {
    const { socket, log } = await open()
    await expect.poll(() => server.held).toBeDefined()
    server.fates = ['late', ...fates]
    socket.close(4001, 'done')
    await expect.poll(() => server.late.length).toBe(1)
    server.held?.(server.answerHeld())
    await expect.poll(() => log[0]).toMatch(/^close 4001/)
  }

  test('a short exchange takes no longer than connectTimeout where nothing is held by a slot', async () => {
    const { socket } = await open(['polling'], { connectTimeout: 3000 })
    await expect.poll(() => server.held).toBeDefined()
    server.fates = ['late']
    socket.send('one')
    await expect.poll(() => server.late.length).toBe(1)
    await vi.advanceTimersByTimeAsync(2900)
    expect(given()).toEqual([false])
    await vi.advanceTimersByTimeAsync(200)
    expect(given()).toEqual([true])
  })

  test('the goodbye is given up, also if the request before it is answered meanwhile', async () => {
    await closing('late')
    await expect.poll(() => server.late.length).toBe(2)
    server.late[0]?.answer()
    await vi.advanceTimersByTimeAsync(10_100)
    expect(given()[1]).toBe(true)
  })

  test('the request before the goodbye is given up with it', async () => {
    await closing('late')
    await expect.poll(() => server.late.length).toBe(2)
    await vi.advanceTimersByTimeAsync(10_100)
    expect(given()).toEqual([true, true])
  })

  test('the request before the goodbye is given up when that is answered', async () => {
    await closing()
    await expect.poll(() => server.session.done).toBe(true)
    await expect.poll(given).toEqual([true])
  })
})
