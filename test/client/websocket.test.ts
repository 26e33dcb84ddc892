import { expect, onTestFinished, test, vi } from 'vitest'
import { controlText } from '../../shared/frame.ts'
import { FakeSocket, open, platform, runTask, sockets, tasks, WebSocket } from './fakes.ts'

const only = { transports: ['websocket'] } as const

function begins(text: string): RegExp {
  return new RegExp(`^${text}`)
}

function thrown(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).name
  }
  return 'nothing'
}

test.each([
  ['relative', '/x', 'ws://page.example/x'],
  ['relative to the page', 'x?a=1', 'ws://page.example/dir/x?a=1'],
  ['http', 'http://a.example/', 'ws://a.example/'],
  ['https', 'https://a.example:8443/p', 'wss://a.example:8443/p'],
  ['wss', 'wss://a.example', 'wss://a.example/'],
])('the URL: %s', (_name, given, url) => {
  expect(new WebSocket(given, only).url).toBe(url)
  expect(new WebSocket(new URL(given, 'http://page.example/dir/'), only).url).toBe(url)
})

test.each([
  ['a bad URL', 'ws://', []],
  ['another scheme', 'ftp://a.example/', []],
  ['a fragment', 'ws://a.example/#x', []],
  ['an empty fragment', 'ws://a.example/#', []],
  ['an empty subprotocol', 'ws://a.example/', ['']],
  ['a subprotocol with a space', 'ws://a.example/', 'a b'],
  ['a subprotocol twice', 'ws://a.example/', ['a', 'b', 'A']],
])('SyntaxError for %s', (_name, url, protocols) => {
  const before = sockets.length
  expect(thrown(() => new WebSocket(url, protocols))).toBe('SyntaxError')
  expect(sockets.length).toBe(before)
})

test('TypeError for no URL, no transport, an unknown transport', () => {
  expect(thrown(() => Reflect.construct(WebSocket, []))).toBe('TypeError')
  expect(thrown(() => new WebSocket('/', { transports: [] }))).toBe('TypeError')
  const transports = ['carrier pigeon'] as unknown as ['websocket']
  expect(thrown(() => new WebSocket('/', [], { transports }))).toBe('TypeError')
})

test('options may stand in the place of the protocols, protocols may be any iterable', () => {
  new WebSocket('/', new Set(['a', 'b']), only)
  expect(sockets.at(-1)?.protocols.slice(0, 3)).toEqual(['a', 'b', 'everwire.1'])
  new WebSocket('/', only)
  expect(sockets.at(-1)?.protocols[0]).toBe('everwire.1')
})

test('the constants stand on class and prototype and cannot be written', () => {
  expect([WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED]).toEqual([0, 1, 2, 3])
  const { socket } = open()
  expect([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED]).toEqual([0, 1, 2, 3])
  expect(thrown(() => Object.assign(socket, { OPEN: 7 }))).toBe('TypeError')
  expect(String(socket)).toBe('[object WebSocket]')
})

test('open comes with the welcome, before any message that came along', async () => {
  const socket = new WebSocket('/', ['chat'], only)
  const log: string[] = []
  socket.onopen = () => {
    log.push(`open ${socket.readyState} ${socket.protocol} ${socket.transport}`)
    socket.onmessage = (event) => log.push(`${event.data} ${event.origin}`)
  }
  const native = sockets.at(-1)!
  expect(socket.readyState).toBe(0)
  native.welcome('chat')
  native.receive('a')
  native.receive('\0\0b')
  expect(log).toEqual(['open 1 chat websocket', 'a ws://page.example', '\0b ws://page.example'])
})

test('a server that takes none of the offered subprotocols has refused', async () => {
  const socket = new WebSocket('/', ['chat'], only)
  const log: string[] = []
  for (const type of ['open', 'error', 'close']) socket.addEventListener(type, () => log.push(type))
  const native = sockets.at(-1)!
  native.welcome('')
  while (tasks.length > 0) await runTask()
  expect(log).toEqual(['error', 'close'])
  expect(native.sent.at(-1)).toMatch(begins(controlText('abort', '1006,')))
  expect(native.closed).toBe(true)
})

test('a failed connect is error, then close 1006 with the reason of each transport', async () => {
  const socket = new WebSocket('/', { transports: ['websocket', 'polling'] })
  const log: unknown[] = []
  socket.onclose = ({ code, reason, wasClean }) => log.push(code, reason, wasClean, socket.readyState)
  socket.onerror = (event) => log.push(event.type)
  sockets.at(-1)!.fail()
  await expect.poll(() => tasks.length).toBe(1)
  await runTask()
  expect(log).toEqual(['error', 1006, 'websocket: refused; polling: 403 Forbidden', false, 3])
})

test('close() while connecting: the attempt is closed, error and close 1006', async () => {
  const socket = new WebSocket('/', only)
  const log: string[] = []
  socket.onerror = () => log.push('error')
  socket.onclose = ({ code }) => log.push(`close ${code}`)
  const native = sockets.at(-1)!
  socket.close()
  expect([socket.readyState, native.closed, log.length]).toEqual([2, true, 0])
  await runTask()
  expect(log).toEqual(['error', 'close 1006'])
})

test('send() and close() say what is wrong', () => {
  const socket = new WebSocket('/', only)
  expect(thrown(() => socket.send('x'))).toBe('InvalidStateError')
  expect(thrown(() => Reflect.apply(socket.send, socket, []))).toBe('TypeError')
  for (const code of [0, 999, 1001, 1005, 2999, 5000, Number.NaN])
    expect(thrown(() => socket.close(code))).toBe('InvalidAccessError')
  expect(thrown(() => socket.close(1000, 'é'.repeat(62)))).toBe('SyntaxError')
  expect(socket.readyState).toBe(0)
})

test('the close is sent after what was sent before, and the answer closes', () => {
  const { socket, native } = open()
  const log: unknown[] = []
  socket.onclose = ({ code, reason, wasClean }) => log.push(code, reason, wasClean)
  socket.send('last')
  socket.close(4001, 'enough')
  socket.close(4002, 'too late')
  expect(native.sent).toEqual(['last', controlText('close', '4001,enough')])
  native.receive('not seen any more')
  native.receive(controlText('ack', '2'))
  native.receive(controlText('close', '4001,'))
  expect(log).toEqual([4001, '', true])
  expect(native.closed).toBe(true)
})

test('what is sent after close() only counts', () => {
  const { socket, native } = open()
  socket.close()
  socket.send('é')
  socket.send(new Uint8Array(3))
  expect(socket.bufferedAmount).toBe(5)
  expect(native.sent).toEqual([controlText('close', '')])
})

test('bufferedAmount counts messages and no controls, whether these wait or have left', () => {
  const { socket, native } = open()
  native.send = (data) => {
    native.bufferedAmount += data.length
  }
  native.receive(controlText('ping', 'x'))
  expect([native.bufferedAmount, socket.bufferedAmount]).toEqual([3, 0])
  socket.send('abc')
  expect(socket.bufferedAmount).toBe(3)
  native.receive(controlText('ping', 'y'))
  expect(socket.bufferedAmount).toBe(3)
  native.bufferedAmount = 0
  expect(socket.bufferedAmount).toBe(0)
  socket.send('abcd')
  expect(socket.bufferedAmount).toBe(4)
})

test('data is taken when send() is called', () => {
  const { socket, native } = open()
  const bytes = Uint8Array.of(1, 2, 3, 4)
  socket.send(bytes.subarray(1, 3))
  socket.send(bytes.buffer)
  bytes.fill(0)
  expect(native.sent).toEqual([Uint8Array.of(2, 3), Uint8Array.of(1, 2, 3, 4)])
})

test('what follows a Blob waits for it, the close too', async () => {
  const { socket, native } = open()
  socket.send('before')
  socket.send(new Blob(['bl', 'ob']))
  socket.send('after')
  socket.close(1000)
  expect(native.sent).toEqual(['before'])
  expect(socket.bufferedAmount).toBe(9)
  await expect.poll(() => native.sent.length).toBe(4)
  expect(native.sent).toEqual([
    'before',
    new TextEncoder().encode('blob'),
    'after',
    controlText('close', '1000,'),
  ])
})

test('binaryType: an invalid value is ignored, it counts at delivery', async () => {
  const { socket, native } = open()
  const log: unknown[] = []
  socket.onmessage = ({ data }) => log.push(data)
  expect(socket.binaryType).toBe('blob')
  Object.assign(socket, { binaryType: 'nonsense' })
  expect(socket.binaryType).toBe('blob')
  native.receive(Uint8Array.of(1).buffer)
  socket.binaryType = 'arraybuffer'
  native.receive(Uint8Array.of(2).buffer)
  expect(log[0]).toBeInstanceOf(Blob)
  expect(log[1]).toEqual(Uint8Array.of(2).buffer)
})

test('handlers: the first one set keeps the place, null gives it up', () => {
  const { socket, native } = open()
  const log: string[] = []
  socket.onmessage = () => log.push('first')
  socket.addEventListener('message', () => log.push('listener'))
  socket.onmessage = () => log.push('second')
  native.receive('1')
  expect(log.splice(0)).toEqual(['second', 'listener'])
  socket.onmessage = null
  expect(socket.onmessage).toBe(null)
  socket.onmessage = () => log.push('third')
  native.receive('2')
  expect(log).toEqual(['listener', 'third'])
})

test('where messages do not come in tasks of their own, each gets one', async () => {
  class Elsewhere extends WebSocket {
    protected static override readonly platform = { ...platform, ownTasks: false }
  }
  const socket = new Elsewhere('/', only)
  const log: string[] = []
  socket.onmessage = ({ data }) => {
    log.push(data)
    Promise.resolve().then(() => log.push('microtask'))
    if (data === 'b') socket.close()
  }
  const native = sockets.at(-1)!
  native.welcome()
  for (const text of ['a', 'b', 'c']) native.receive(text)
  expect(log).toEqual([])
  while (tasks.length > 0) await runTask()
  expect(log).toEqual(['a', 'microtask', 'b', 'microtask'])
})

test('a full replay buffer closes with 1013', async () => {
  const { socket, native } = open({ maxBuffered: 10 })
  const log: number[] = []
  socket.onclose = ({ code }) => log.push(code)
  socket.send('x'.repeat(20))
  socket.send('one too many')
  while (tasks.length > 0) await runTask()
  expect(log).toEqual([1013])
  expect(native.sent.at(-1)).toMatch(begins(controlText('abort', '1013,')))
})

test.each([
  ['an unknown control', '\0?', 'malformed frame'],
  ['an acknowledgement of what was never sent', controlText('ack', '5'), 'bad ack'],
])('%s ends the session', (_name, text, why) => {
  const { socket, native } = open()
  const log: unknown[] = []
  socket.onerror = () => log.push('error')
  socket.onclose = ({ code, reason }) => log.push(code, reason)
  native.receive(text)
  expect(log).toEqual([1006, why])
  expect(native.sent.at(-1)).toMatch(begins(controlText('close', '1002,')))
})

test('a lost WebSocket is resumed: nothing is lost, nothing comes twice', async () => {
  const { socket, native } = open()
  const log: string[] = []
  socket.onmessage = ({ data }) => log.push(data)
  socket.ontransportchange = () => log.push(`transport ${socket.transport}`)
  native.receive('1')
  socket.send('a')
  socket.send('b')
  native.fail()
  const next = sockets.at(-1)!
  expect(next).not.toBe(native)
  await runTask()
  socket.send('c')
  next.welcome('', 1, 0)
  await runTask()
  next.receive('1')
  next.receive('2')
  expect(log).toEqual(['1', 'transport null', 'transport websocket', '2'])
  expect(next.sent).toEqual(['b', 'c'])
  expect(next).toBeInstanceOf(FakeSocket)
})

test('messages are acknowledged once a second, and sooner only when there are 64', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { socket, native } = open({ remember: false })
  const acks = (): string[] =>
    native.sent.map(String).filter((text) => text.startsWith(controlText('ack', '')))
  for (let i = 0; i < 5; i++) {
    native.receive('a')
    vi.advanceTimersByTime(190)
  }
  expect(acks()).toEqual([])
  vi.advanceTimersByTime(190)
  expect(acks()).toEqual([controlText('ack', '5')])
  for (let i = 0; i < 64; i++) native.receive('b')
  expect(acks().slice(1)).toEqual([controlText('ack', '69')])
  socket.close()
})

test('an announcement of more than would be taken buys no silence', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { socket, native } = open({ remember: false, maxPayload: 100_000 })
  native.receive(controlText('long', '9'.repeat(15)))
  vi.advanceTimersByTime(6000)
  expect(native.sent).toContain(controlText('ping', ''))
  socket.close()
})

test.each([
  [100_000, 'terminated'],
  [1000, 'closed'],
])('a WebSocket that is left with %d bytes still to send is %s', (buffered, how) => {
  const { native } = open()
  const ended: string[] = []
  Object.assign(native, {
    bufferedAmount: buffered,
    terminate: () => ended.push('terminated'),
    close: () => ended.push('closed'),
  })
  native.receive(controlText('superseded', ''))
  expect(ended).toEqual([how])
})

test('a server that has lost messages is not believed', async () => {
  const { socket, native } = open()
  const log: unknown[] = []
  socket.onclose = ({ code, reason }) => log.push(code, reason)
  socket.send('a')
  native.receive(controlText('ack', '1'))
  native.fail()
  sockets.at(-1)!.welcome('', 0, 0)
  while (tasks.length > 0) await runTask()
  expect(log).toEqual([1006, 'messages lost'])
})

test('a carrier that stands by is not taken before its welcome: whoever speaks earlier is no server of ours', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { socket, native } = open({ remember: false })
  socket.send('not acknowledged')
  vi.advanceTimersByTime(3000)
  const beside = sockets.at(-1)!
  expect(beside).not.toBe(native)
  expect(() => beside.receive(controlText('pong', ''))).not.toThrow()
  expect([native.closed, beside.closed, beside.sent]).toEqual([false, true, []])
  expect(socket.readyState).toBe(1)
  socket.close()
})
