// The events of everwire/events over a pair of sockets in memory: what each frame does, also frames of a hostile peer.
import { gzipSync } from 'node:zlib'
import { buildSync } from 'esbuild'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import {
  EventError,
  type EventFault,
  type EventSocket,
  type Events,
  encode,
  events,
} from '../../events/index.ts'

/** One end of a pair: what it sends comes to the other in a microtask. */
class End extends EventTarget implements EventSocket {
  declare addEventListener: EventSocket['addEventListener']
  readyState = 1
  other: End | undefined
  readonly sent: string[] = []

  send(data: string | Uint8Array): void {
    if (this.readyState === 0) throw new DOMException('Not yet open', 'InvalidStateError')
    if (typeof data === 'string') this.sent.push(data)
    queueMicrotask(() => this.other?.receive(data))
  }

  receive(data: unknown): void {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }

  /** Closes; with a state of 0, as a socket of everwire/reopen that begins again. */
  close(readyState = 3): void {
    this.readyState = readyState
    this.dispatchEvent(new Event('close'))
  }
}

let a: End
let b: End
let faults: EventFault[]
let ours: Events
let theirs: Events

beforeEach(() => {
  faults = []
  a = new End()
  b = new End()
  a.other = b
  b.other = a
  ours = events(a, { onfault: (fault) => faults.push(fault) })
  theirs = events(b, { onfault: (fault) => faults.push(fault) })
})

afterEach(() => vi.useRealTimers())

test('an answer is what the first handler returns, whatever the order of the answers', async () => {
  let finish = (_: string): void => {}
  theirs.on('slow', () => new Promise<string>((resolve) => (finish = resolve)))
  theirs.on('fast', (data) => data)
  theirs.on('fast', () => 'not asked')
  const slow = ours.ask('slow')
  expect(await ours.ask('fast', { deep: [1, 'ü'] })).toEqual({ deep: [1, 'ü'] })
  finish('later')
  expect(await slow).toBe('later')
  expect(b.sent).toHaveLength(2)
  expect(faults).toEqual([])
})

test('the listener for messages returns a promise that settles when all handlers are done, whatever becomes of them', async () => {
  let hear = (_: { data: unknown }): unknown => expect.unreachable('there is no listener')
  const sent: string[] = []
  const socket: EventSocket = {
    readyState: 1,
    send: (data) => sent.push(data),
    addEventListener: (type: string, listener: typeof hear) => {
      if (type === 'message') hear = listener
    },
  }
  const its = events(socket, { onfault: (fault) => faults.push(fault) })
  let finish = (): void => {}
  its.on('save', () => new Promise<void>((resolve) => (finish = resolve)))
  its.on('save', () => Promise.reject(new Error('no room')))
  its.on('fail', () => Promise.reject(new EventError('full', 'full')))
  let isTold = false
  const saved = Promise.resolve(hear({ data: '["save",1]' })).then(() => (isTold = true))
  await new Promise((resolve) => setImmediate(resolve))
  expect(isTold).toBe(false)
  finish()
  await saved
  await hear({ data: '["fail",2]' })
  await hear({ data: '["nothing",3]' })
  expect(sent).toEqual(['[null,1]', '[null,2,null,"full","full"]', '[null,3,null,"No such event","unknown"]'])
  expect(faults.map(({ type }) => type)).toEqual(['thrown', 'unknown'])
  // What is no event has nobody who does anything.
  for (const data of [Buffer.from('x'), 'x', '[null,1]']) expect(hear({ data })).not.toBeInstanceOf(Promise)
})

test('undefined stays undefined, and null null', async () => {
  const heard: unknown[] = []
  theirs.on('say', (data) => {
    heard.push(data)
    return data
  })
  expect(await ours.ask('say')).toBe(undefined)
  expect(await ours.ask('say', null)).toBe(null)
  ours.emit('say')
  ours.emit('say', 0)
  await ours.ask('say', '')
  expect(heard).toEqual([undefined, null, undefined, 0, ''])
})

test('every handler hears an event until it is taken off', async () => {
  const heard: string[] = []
  const first = theirs.on('say', (text) => void heard.push(`1 ${text}`))
  const handler = (text: unknown): void => void heard.push(`2 ${text}`)
  const once = theirs.on('say', handler)
  theirs.on('say', handler)
  ours.emit('say', 'a')
  await ours.ask('say', 'b')
  first()
  once()
  await ours.ask('say', 'c')
  expect(heard).toEqual(['1 a', '2 a', '2 a', '1 b', '2 b', '2 b', '2 c'])
})

test('a handler that adds or takes off handlers does not change who hears this event', async () => {
  const heard: string[] = []
  const second: (() => void)[] = []
  theirs.on('say', () => {
    heard.push('first')
    for (const off of second) off()
    theirs.on('say', () => void heard.push('new'))
  })
  second.push(theirs.on('say', () => void heard.push('second')))
  await ours.ask('say')
  expect(heard).toEqual(['first', 'second'])
  await ours.ask('say')
  expect(heard).toEqual(['first', 'second', 'first', 'new'])
})

test('the asker gets message and code of an EventError, and nothing of another error', async () => {
  const secret = new Error('password hunter2')
  theirs.on('refused', () => {
    throw new EventError('Not in this room', 'not-here')
  })
  theirs.on('broken', async () => {
    throw secret
  })
  theirs.on('circular', () => {
    const circle: { self?: unknown } = {}
    circle.self = circle
    return circle
  })
  await expect(ours.ask('refused')).rejects.toEqual(new EventError('Not in this room', 'not-here'))
  await expect(ours.ask('refused')).rejects.toMatchObject({ name: 'EventError', code: 'not-here' })
  await expect(ours.ask('broken')).rejects.toMatchObject({ message: 'Handler failed', code: 'failed' })
  await expect(ours.ask('circular')).rejects.toMatchObject({ code: 'failed' })
  ours.emit('broken')
  ours.emit('refused')
  await expect(ours.ask('refused')).rejects.toMatchObject({ message: 'Not in this room', code: 'not-here' })
  expect(b.sent.join()).not.toMatch(/hunter2|\.ts/)
  const thrown = { type: 'thrown', name: 'broken', error: secret }
  expect(faults).toEqual([thrown, { type: 'thrown', name: 'circular', error: expect.any(TypeError) }, thrown])
  expect([a.readyState, b.readyState]).toEqual([1, 1])
})

test('who asks what nobody handles is told so, and this end is, too', async () => {
  for (const name of ['nobody', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])
    await expect(ours.ask(name)).rejects.toMatchObject({ code: 'unknown' })
  theirs.on('gone', () => {})()
  ours.emit('gone')
  await expect(ours.ask('gone')).rejects.toMatchObject({ code: 'unknown' })
  expect(faults).toHaveLength(8)
  expect(faults[1]).toEqual({ type: 'unknown', name: '__proto__' })
  theirs.on('__proto__', () => 'a name like any other')
  expect(await ours.ask('__proto__')).toBe('a name like any other')
})

test('without a listener a fault is a warning', async () => {
  const warnings: unknown[] = []
  const { warn } = console
  onTestFinished(() => {
    console.warn = warn
  })
  console.warn = (...said) => warnings.push(said)
  const end = new End()
  events(end)
  end.receive('[')
  expect(warnings).toEqual([['everwire', { type: 'malformed', data: '[' }]])
})

test('an ask is over when its time is up; a later answer is for nobody', async () => {
  vi.useFakeTimers()
  let finish = (_: string): void => {}
  theirs.on('slow', () => new Promise<string>((resolve) => (finish = resolve)))
  const early = ours.ask('slow', undefined, { timeout: 100 })
  const usual = ours.ask('slow')
  const patient = ours.ask('slow', undefined, { timeout: Number.POSITIVE_INFINITY })
  const outcomes: unknown[] = []
  for (const asked of [early, usual, patient])
    asked.catch(({ code, message }: EventError) => outcomes.push(`${code}: ${message}`))
  await vi.advanceTimersByTimeAsync(99)
  expect(outcomes).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  expect(outcomes).toEqual(['timeout: No answer in 100 ms'])
  await vi.advanceTimersByTimeAsync(29_900)
  expect(outcomes).toEqual(['timeout: No answer in 100 ms', 'timeout: No answer in 30000 ms'])
  await vi.advanceTimersByTimeAsync(20 * 24 * 3_600_000)
  finish('at last')
  expect(await patient).toBe('at last')
  expect([outcomes.length, vi.getTimerCount()]).toEqual([2, 0])
})

test('an ask is over when the socket closes, and is refused at once afterwards', async () => {
  vi.useFakeTimers()
  theirs.on('never', () => new Promise(() => {}))
  const unanswered = expect(ours.ask('never')).rejects.toMatchObject({ code: 'closed' })
  await Promise.resolve()
  a.close()
  await unanswered
  await expect(ours.ask('never')).rejects.toMatchObject({ code: 'closed' })
  expect(vi.getTimerCount()).toBe(0)
})

test('before the socket is open: emit throws and ask rejects with what send throws', async () => {
  a.readyState = 0
  expect(() => ours.emit('say')).toThrow('Not yet open')
  await expect(ours.ask('say')).rejects.toThrow('Not yet open')
  expect(a.sent).toEqual([])
})

test('an answer that is ready after its session has ended does not go into the next', async () => {
  let finish = (_: string): void => {}
  ours.on('slow', () => new Promise<string>((resolve) => (finish = resolve)))
  a.receive('["slow",1]')
  a.close(0)
  a.readyState = 1
  a.receive('["slow",1]')
  const inSecond = finish
  a.close(0)
  a.readyState = 1
  finish('of the second')
  inSecond('again')
  await new Promise((resolve) => setImmediate(resolve))
  expect(a.sent).toEqual([])
  const asked = ours.ask('say')
  theirs.on('say', () => 'heard')
  expect(await asked).toBe('heard')
})

test('binary messages are left to the application, and refused within an event', async () => {
  const binary: unknown[] = []
  b.addEventListener('message', ({ data }: MessageEventInit) => typeof data !== 'string' && binary.push(data))
  const bytes = new Uint8Array([1, 2])
  a.send(bytes)
  await Promise.resolve()
  expect(binary).toEqual([bytes])
  expect(faults).toEqual([])
  for (const data of [
    bytes,
    bytes.buffer,
    Buffer.from('x'),
    new Blob(['x']),
    { deep: [new DataView(bytes.buffer)] },
  ]) {
    expect(() => ours.emit('say', data)).toThrow('Binary data: use socket.send()')
    await expect(ours.ask('say', data)).rejects.toThrow(TypeError)
    expect(() => encode('say', data)).toThrow(TypeError)
  }
})

test('events of one socket are one object, however often they are asked for', () => {
  expect(events(a)).toBe(ours)
})

const malformed = [
  '',
  '[',
  '{}',
  '1',
  'true',
  '"text"',
  '[]',
  '["say"]',
  '["say","1"]',
  '["say",null]',
  '[1,1]',
]

test.each([...malformed, '[{"toString":1},1]', '[["say"],1]'])('malformed: %s', (text) => {
  a.receive(text)
  expect(faults).toEqual([{ type: 'malformed', data: text }])
  expect(a.sent).toEqual([])
})

test('a text that is no list is not taken apart', () => {
  const letters: string[] = []
  const { prototype } = String
  const original = prototype[Symbol.iterator]
  onTestFinished(() => {
    prototype[Symbol.iterator] = original
  })
  prototype[Symbol.iterator] = function* (this: string) {
    for (let at = 0; at < this.length; at++) {
      letters.push(this.charAt(at))
      yield this.charAt(at)
    }
  } as typeof original
  a.receive(JSON.stringify('x'.repeat(1000)))
  expect(letters.length).toBeLessThanOrEqual(5)
})

test('whatever comes, nothing throws, no prototype changes, and the next question is answered', async () => {
  theirs.on('say', (data) => data)
  const name = fc.constantFrom('say', 'other', '__proto__', 'constructor', null, 1, {}, [])
  const id = fc.constantFrom(0, 1, 2, -1, 1.5, 1e300, '1', '__proto__', null, {})
  const frame = fc
    .tuple(name, id, fc.jsonValue(), fc.jsonValue(), fc.jsonValue())
    .map((list) => JSON.stringify(list))
  const polluting = fc.constant(
    '["say",0,{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":1}}}]',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(frame, fc.string(), fc.json(), polluting)), async (texts) => {
      // What is answered to these does not come back as an answer to a question of ours.
      b.other = undefined
      for (const text of texts) b.receive(text)
      await new Promise((resolve) => setImmediate(resolve))
      b.other = a
      expect(await ours.ask('say', texts)).toEqual(texts)
      expect('polluted' in {}).toBe(false)
    }),
  )
})

test('takes less than 1 kB, minified and gzipped', () => {
  const { outputFiles } = buildSync({
    entryPoints: ['events/index.ts'],
    minify: true,
    format: 'esm',
    write: false,
  })
  expect(gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length).toBeLessThan(1024)
})
