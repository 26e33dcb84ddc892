// The class of everwire/reopen: the same socket begins another session, on each transport, with a real server that comes and goes.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket as Plain } from '../../client/node.ts'
import { WebSocket, type WebSocketOptions } from '../../client/node-reopen.ts'
import { WebSocketServer } from '../../server/index.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { Queue } from '../support/queue.ts'
import { end, serve } from '../support/serving.ts'

const transports = ['websocket', 'stream', 'sse', 'polling'] as const
const quick = { minDelay: 10, maxDelay: 40 }

const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  // Clients before their servers: then no server waits for one.
  for (const end of ends.splice(0).reverse()) await end()
})

/** Answers each message with its number since the session began. */
async function listen(port = 0): Promise<WebSocketServer> {
  const realtime = new WebSocketServer({ port, host: '127.0.0.1' })
  realtime.on('connection', (socket) => {
    let count = 0
    socket.on('message', (data) => {
      if (String(data).startsWith('close ')) socket.close(Number(String(data).slice(6)), 'asked for')
      else socket.send(`${++count} ${data}`)
    })
  })
  await once(realtime, 'listening')
  ends.push(() => end(realtime))
  return realtime
}

function portOf(realtime: WebSocketServer): number {
  return (realtime.address() as AddressInfo).port
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(realtime, 'listening')
  const port = portOf(realtime)
  await end(realtime)
  return port
}

interface Watched {
  readonly socket: WebSocket
  /** Events as `type status`; a close with its code. */
  readonly log: Queue<string>
}

function connect(port: number, options: WebSocketOptions, protocols: string[] = []): Watched {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, {
    remember: false,
    reopen: quick,
    ...options,
  })
  const log = new Queue<string>()
  socket.onopen = () => log.push(`open ${socket.status}`)
  socket.onerror = () => log.push(`error ${socket.status}`)
  socket.onclose = ({ code }) => log.push(`close ${code} ${socket.readyState} ${socket.status}`)
  socket.onmessage = ({ data }) => log.push(`message ${data}`)
  ends.push(async () => socket.terminate())
  return { socket, log }
}

/** The next event that begins so, after how many others. */
async function until(log: Queue<string>, start: string): Promise<string> {
  for (;;) {
    const event = await log.next()
    if (event.startsWith(start)) return event
  }
}

describe.each(transports)('over %s', (transport) => {
  const transports = [transport]

  test('a server that was restarted: close, then open again, with the same object and a new session', async () => {
    const first = await listen()
    const port = portOf(first)
    const { socket, log } = connect(port, { transports }, ['chat'])
    let closes = 0
    socket.addEventListener('close', () => closes++)
    expect(await log.next()).toBe('open open')
    socket.binaryType = 'arraybuffer'
    socket.send('a')
    expect(await log.next()).toBe('message 1 a')
    await end(first)
    await listen(port)
    expect(await log.next()).toBe('close 1006 0 connecting')
    expect(socket.transport).toBe(null)
    expect(() => socket.send('too early')).toThrow(expect.objectContaining({ name: 'InvalidStateError' }))
    expect(await until(log, 'open')).toBe('open open')
    socket.send('b')
    expect(await log.next()).toBe('message 1 b')
    expect(socket).toMatchObject({
      binaryType: 'arraybuffer',
      bufferedAmount: 0,
      protocol: 'chat',
      transport,
    })
    // All sessions stand in the diary, also those that began before the server was there again.
    expect(socket.diary.filter(({ type }) => type === 'close')).toHaveLength(closes)
    expect(
      socket.diary.filter((entry) => 'purpose' in entry && entry.purpose === 'open').length,
    ).toBeGreaterThan(1)
  })

  test('patience ran out, and the first tries are refused', async () => {
    const first = await listen()
    const port = portOf(first)
    const { log } = connect(port, { transports, patience: 100 })
    expect(await log.next()).toBe('open open')
    await end(first)
    expect(await log.next()).toBe('close 1006 0 connecting')
    for (let tries = 0; tries < 2; tries++) {
      expect(await log.next()).toBe('error connecting')
      expect(await log.next()).toBe('close 1006 0 connecting')
    }
    await listen(port)
    expect(await until(log, 'open')).toBe('open open')
  })

  test('a server that is not there at first', async () => {
    const port = await freePort()
    const { socket, log } = connect(port, { transports, patience: 100 })
    expect(await log.next()).toBe('error connecting')
    expect(await log.next()).toBe('close 1006 0 connecting')
    await listen(port)
    await until(log, 'open')
    socket.send('hello')
    expect(await log.next()).toBe('message 1 hello')
  })

  test.each(['page', 'redirect'] as const)(
    'a captive portal (a %s) until somebody has signed in',
    async (captive) => {
      const network = await hostileNetwork(portOf(await listen()))
      ends.push(() => network.close())
      network.set({ captive })
      const { socket, log } = connect(network.port, { transports })
      for (let tries = 0; tries < 2; tries++) {
        expect(await log.next()).toBe('error connecting')
        expect(await log.next()).toBe('close 1006 0 connecting')
      }
      network.clear()
      expect(await until(log, 'open')).toBe('open open')
      socket.send('hello')
      expect(await log.next()).toBe('message 1 hello')
    },
  )

  test.each([1000, 1008, 3000, 4000, 4999])('an end with %i is for good', async (code) => {
    const { socket, log } = connect(portOf(await listen()), { transports })
    await log.next()
    socket.send(`close ${code}`)
    expect(await log.next()).toBe(`close ${code} 3 closed`)
  })

  test.each([1001, 1011, 1012, 1013])('after an end with %i it begins again', async (code) => {
    const { socket, log } = connect(portOf(await listen()), { transports })
    await log.next()
    socket.send(`close ${code}`)
    expect(await log.next()).toBe(`close ${code} 0 connecting`)
    expect(await log.next()).toBe('open open')
  })

  test('close() while it waits: error and close as for a socket that is connecting, once, and nothing after', async () => {
    const reopen = { minDelay: 600_000, maxDelay: 600_000 }
    const { socket, log } = connect(portOf(await listen()), { transports, reopen })
    await log.next()
    socket.send('close 1012')
    expect(await log.next()).toBe('close 1012 0 connecting')
    socket.close(1000)
    expect(socket.readyState).toBe(2)
    socket.close()
    expect(await log.next()).toBe('error closed')
    expect(await log.next()).toBe('close 1006 3 closed')
    socket.close()
    await new Promise(setImmediate)
    expect(log.size).toBe(0)
  })

  test('close() in the close event ends it for good', async () => {
    const { socket, log } = connect(portOf(await listen()), { transports })
    await log.next()
    socket.addEventListener('close', () => socket.close())
    socket.send('close 1012')
    expect(await log.next()).toBe('close 1012 0 connecting')
    expect(await log.next()).toBe('error closed')
    expect(await log.next()).toBe('close 1006 3 closed')
  })

  test('the own close() is for good, whatever the server makes of it', async () => {
    const first = await listen()
    const { socket, log } = connect(portOf(first), { transports, patience: 100 })
    await log.next()
    socket.close()
    await end(first)
    expect(await log.next()).toMatch(/^close \d+ 3 closed$/)
  })
})

test('what was cut off does not reach the next session: a Blob that is being read, and a piece of a message', async () => {
  const { socket, log } = connect(portOf(await listen()), {})
  await log.next()
  const slow = new Blob(['old'])
  let finish = (_: ArrayBuffer): void => {}
  slow.arrayBuffer = () => new Promise((resolve) => (finish = resolve))
  socket.send('close 1012')
  socket.send('half', { fin: false })
  socket.send(slow)
  await until(log, 'close')
  await until(log, 'open')
  finish(new ArrayBuffer(3))
  socket.send('new')
  expect(await log.next()).toBe('message 1 new')
  expect(socket.bufferedAmount).toBe(0)
})

test('without a session it begins again, too', async () => {
  const { socket, log } = connect(portOf(await listen()), { session: false })
  await log.next()
  socket.send('close 1012')
  expect(await log.next()).toBe('close 1012 0 connecting')
  expect(await log.next()).toBe('open open')
})

test('listeners of on() hear each session', async () => {
  const { socket, log } = connect(portOf(await listen()), {})
  const heard: unknown[] = []
  socket.on('close', (code) => heard.push(code))
  socket.on('open', () => heard.push('open'))
  socket.on('statuschange', (status) => heard.push(status))
  expect(socket.listenerCount('open')).toBe(2)
  await log.next()
  socket.removeAllListeners('message')
  socket.send('close 1012')
  await until(log, 'open')
  await new Promise(setImmediate)
  expect(heard).toEqual(['open', 'open', 1012, 'connecting', 'open', 'open'])
})

test('terminate() is for good', async () => {
  const { socket, log } = connect(portOf(await listen()), {})
  await log.next()
  socket.terminate()
  expect(await log.next()).toBe('close 1006 3 closed')
})

test('the codes are an option: a list or a function, which may be wrong', async () => {
  const realtime = await listen()
  const all: (readonly [NonNullable<WebSocketOptions['reopen']>, number, string])[] = [
    [{ ...quick, codes: [4001] }, 4001, 'close 4001 0 connecting'],
    [{ ...quick, codes: [4001] }, 1012, 'close 1012 3 closed'],
    [{ ...quick, codes: ({ reason }) => reason === 'asked for' }, 4002, 'close 4002 0 connecting'],
    [{ ...quick, maxRetries: 0 }, 1012, 'close 1012 3 closed'],
  ]
  for (const [reopen, code, expected] of all) {
    const { socket, log } = connect(portOf(realtime), { reopen })
    await log.next()
    socket.send(`close ${code}`)
    expect(await log.next()).toBe(expected)
  }
})

test('a function for the codes may close the socket', async () => {
  const realtime = await listen()
  const codes = (): boolean => {
    socket.close()
    return true
  }
  const { socket, log } = connect(portOf(realtime), { reopen: { ...quick, codes } })
  await log.next()
  socket.send('close 1012')
  expect(await log.next()).toBe('close 1012 3 closed')
})

test('is a WebSocket of everwire, which itself does not begin again', async () => {
  const { realtime, url } = await serve()
  realtime.on('connection', (socket) => socket.close(1012))
  const socket = new Plain(url)
  await once(socket, 'close')
  expect(socket.readyState).toBe(3)
  expect(connect(await freePort(), { reopen: { maxRetries: 0 } }).socket).toBeInstanceOf(Plain)
})

test.each([
  [{ minDelai: 1 }, 'Unknown option "reopen.minDelai": use minDelay, maxDelay, maxRetries, codes'],
  [{ minDelay: -1 }, 'The option "reopen.minDelay" must be a number of at least 0'],
  [{ maxDelay: Number.POSITIVE_INFINITY }, 'The option "reopen.maxDelay" must be at most 2147483647'],
  [{ minDelay: 2, maxDelay: 1 }, 'The option "reopen.minDelay" must not be more than "reopen.maxDelay"'],
  [{ codes: ['4000'] }, 'The option "reopen.codes" must be a list of close codes or a function'],
  [true, 'The option "reopen" must be an object'],
])('wrong options throw before anything is connected: %o', (reopen, message) => {
  for (const args of [[{ reopen }], [[], { reopen }], [undefined, { reopen }]]) {
    const make = () => new WebSocket('ws://127.0.0.1:1/', ...(args as [WebSocketOptions]))
    expect(make).toThrow(new TypeError(message))
  }
})
