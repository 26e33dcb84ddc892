// What only the client of `ws` has, with a session below: options of the handshake, its events, pieces, callbacks.
import { getEventListeners, once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect as connectTCP, createServer as createRelay, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Transport, WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'
import { closeOf, end, messagesOf, serve, watch } from '../support/serving.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const http: readonly Transport[] = ['stream', 'sse', 'polling']

function connect(url: string, options: WebSocketOptions = {}): WebSocket {
  const socket = new WebSocket(url, { remember: false, ...options })
  onTestFinished(() => socket.terminate())
  return socket
}

async function pair(options: WebSocketOptions = {}, serverOptions: ServerOptions = {}) {
  const serving = await serve(serverOptions)
  const client = connect(serving.url, options)
  const [{ socket, request }] = await Promise.all([serving.connections.next(), once(client, 'open')])
  return { ...serving, client, socket, request }
}

/** Where handshakes are answered like this, and everything else is a session's. */
async function refusing(answer: string | undefined, others = true) {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    if (others) realtime.middleware(request, response, () => response.writeHead(404).end())
    else response.writeHead(403).end()
  })
  server.on('upgrade', (request, socket, head) => {
    seen.push(request)
    if (answer && !request.url?.startsWith('/there')) socket.end(`HTTP/1.1 ${answer}`)
    else
      realtime.handleUpgrade(request, socket, head, (client) => realtime.emit('connection', client, request))
  })
  return { port: await listen(server), realtime, seen, connections: watch(realtime) }
}

describe('the answer to the handshake', () => {
  const refusal = '403 Forbidden\r\nConnection: close\r\nContent-Length: 4\r\n\r\nno!\n'

  test('who listens to unexpected-response has it; another transport opens', async () => {
    const { port } = await refusing(refusal)
    const socket = connect(`ws://127.0.0.1:${port}/`)
    const opened = once(socket, 'open')
    const [request, response] = await once(socket, 'unexpected-response')
    expect([response.statusCode, request.path]).toEqual([403, '/'])
    await opened
    expect(socket.transport).not.toBe('websocket')
    let body = ''
    for await (const chunk of response) body += chunk
    expect(body).toBe('no!\n')
  })

  test('where nothing gets through error and close come all the same, once, behind what was read', async () => {
    const server = createServer((_request, response) => response.writeHead(403).end())
    const refused = new Queue<Duplex>()
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n')
      refused.push(socket)
    })
    const port = await listen(server)
    for (const transports of [undefined, ['websocket']] as const) {
      const socket = connect(`ws://127.0.0.1:${port}/`, transports && { transports })
      const events: string[] = []
      socket.on('error', ({ message }) => events.push(message))
      const closed = new Promise((resolve) => socket.on('close', resolve))
      const [, response] = await once(socket, 'unexpected-response')
      response.on('data', (data: Buffer) => events.push(String(data)))
      ;(await refused.next()).end('no!\n')
      expect(await closed).toBe(1006)
      expect(events).toEqual(['no!\n', 'Unexpected server response: 403'])
    }
  })

  test('once it has been open a refused handshake is no event', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const server = createServer()
    const handshakes: Duplex[] = []
    server.on('upgrade', (request, socket, head) => {
      handshakes.push(socket)
      if (handshakes.length === 2) socket.end(`HTTP/1.1 ${refusal}`)
      else realtime.handleUpgrade(request, socket, head, () => {})
    })
    const socket = connect(`ws://127.0.0.1:${await listen(server)}/`, { transports: ['websocket'] })
    const heard: string[] = []
    socket.on('unexpected-response', () => heard.push('refused'))
    await once(socket, 'open')
    handshakes[0]?.destroy()
    await once(socket, 'transportchange')
    await once(socket, 'transportchange')
    expect([socket.transport, handshakes.length, heard]).toEqual(['websocket', 3, []])
  })

  test('a redirect on the same host is followed where that is asked for, and on each attempt', async () => {
    const { port, connections, seen } = await refusing(
      '302 Found\r\nLocation: /there\r\nConnection: close\r\n\r\n',
    )
    const socket = connect(`ws://127.0.0.1:${port}/`, {
      followRedirects: true,
      transports: ['websocket'],
      headers: { Authorization: 'Bearer me' },
    })
    const redirects: string[] = []
    socket.on('redirect', (to) => redirects.push(to))
    const [{ request }] = await Promise.all([connections.next(), once(socket, 'open')])
    expect([request.url, request.headers.authorization]).toEqual(['/there', 'Bearer me'])
    expect(redirects).toEqual([`ws://127.0.0.1:${port}/there`])
    expect([socket.url, seen.length]).toEqual([`ws://127.0.0.1:${port}/`, 2])
  })

  test('a redirect to another host is a failed attempt: nothing that opens a session goes there', async () => {
    const stranger: IncomingMessage[] = []
    const elsewhere = createServer().on('upgrade', (request, socket) => {
      stranger.push(request)
      socket.destroy()
    })
    const away = `ws://127.0.0.1:${await listen(elsewhere)}/`
    const redirect = `302 Found\r\nLocation: ${away}\r\nConnection: close\r\n\r\n`
    const { port } = await refusing(redirect)
    const socket = connect(`ws://127.0.0.1:${port}/`, { followRedirects: true })
    await once(socket, 'open')
    expect(socket.transport).not.toBe('websocket')
    const alone = await refusing(redirect, false)
    const only = connect(`ws://127.0.0.1:${alone.port}/`, {
      followRedirects: true,
      transports: ['websocket'],
    })
    expect(String(await once(only, 'error'))).toMatch(`Redirected to ${away}`)
    expect(stranger).toEqual([])
  })

  test('finishRequest is asked for each handshake', async () => {
    const { client, request } = await pair({
      transports: ['websocket'],
      finishRequest(request, socket) {
        request.setHeader('X-Url', socket.url)
        request.end()
      },
    })
    expect(request.headers['x-url']).toBe(client.url)
  })

  test('finishRequest that throws fails its attempt, be it the first or a later one', async () => {
    const { port, realtime, connections } = await refusing(undefined)
    const attempts: WebSocketOptions[] = [
      { transports: ['websocket', 'polling'] },
      { transports: ['websocket'] },
    ]
    for (const [at, options] of attempts.entries()) {
      let asked = 0
      const socket = connect(`ws://127.0.0.1:${port}/`, {
        ...options,
        finishRequest(request) {
          if (asked++ === at) throw new Error('not now')
          request.end()
        },
      })
      const [{ request }] = await Promise.all([connections.next(), once(socket, 'open')])
      if (at > 0) {
        request.socket.destroy()
        await once(socket, 'transportchange')
        await once(socket, 'transportchange')
      }
      expect(socket.transport).toBe(at > 0 ? 'websocket' : 'polling')
      const failed = socket.diary.filter((entry) => entry.type === 'carrier' && entry.why === 'not now')
      expect(failed).toMatchObject([{ transport: 'websocket', epoch: at + 1 }])
    }
    expect(realtime.clients?.size).toBe(2)
  })

  test('through a socket of the file system', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const server = createServer(realtime.middleware)
    const path = join(tmpdir(), `everwire-${process.pid}-${performance.now()}.sock`)
    server.listen(path)
    await once(server, 'listening')
    await listen(server)
    const connections = watch(realtime)
    const client = connect(`ws+unix:${path}:/there?room=1`)
    const [{ request }] = await Promise.all([connections.next(), once(client, 'open')])
    expect([request.url, client.url]).toEqual(['/there?room=1', `ws+unix:${path}:/there?room=1`])
    // fetch knows no such place.
    const nowhere = connect('ws+unix:/no/such/file.sock:/')
    expect((await once(nowhere, 'error'))[0]).toMatchObject({ code: 'ENOENT' })
    expect(nowhere.diary).toHaveLength(2)
  })
})

test('compressed messages, over the transport that has them', async () => {
  const serving = await serve({ perMessageDeflate: { threshold: 0 } })
  const text = 'over and over '.repeat(2000)
  const extensions: string[] = []
  for (const options of [
    { transports: ['websocket'], perMessageDeflate: { threshold: 0 } },
    { transports: ['websocket'] },
    { transports: ['polling'], perMessageDeflate: true },
  ] satisfies WebSocketOptions[]) {
    const client = connect(serving.url, options)
    expect(client.extensions).toBe('')
    const [{ socket }] = await Promise.all([serving.connections.next(), once(client, 'open')])
    extensions.push(client.extensions)
    const arrived = messagesOf(socket)
    const waiting = await new Promise((resolve) => client.send(text, () => resolve(client.bufferedAmount)))
    // It is called when the system has it, compressed or not.
    if (client.transport === 'websocket') expect(waiting).toBe(0)
    expect(await arrived.next()).toBe(text)
    socket.send(text)
    expect(String((await once(client, 'message'))[0])).toBe(text)
  }
  expect(extensions).toEqual(['permessage-deflate', '', ''])
})

test('only what the application sends is compressed, not what a session says of it', async () => {
  const serving = await serve({ perMessageDeflate: true })
  const up: Buffer[] = []
  const down: Buffer[] = []
  const relay = createRelay((client) => {
    const server = connectTCP(serving.port, '127.0.0.1')
    for (const one of [client, server]) one.on('error', () => {})
    client.once('close', () => server.destroy())
    client.on('data', (data) => up.push(data)).pipe(server)
    server.on('data', (data) => down.push(data)).pipe(client)
  })
  const url = `ws://127.0.0.1:${await listen(relay as never)}/realtime`
  const client = connect(url, { transports: ['websocket'], perMessageDeflate: true })
  const [{ socket }] = await Promise.all([serving.connections.next(), once(client, 'open')])
  const messages = ['short', 'long '.repeat(1000), '\0like a control']
  socket.on('message', (data) => socket.send(String(data)))
  const echoes = new Queue<string>()
  client.on('message', (data) => echoes.push(String(data)))
  for (let round = 0; round < 20; round++)
    for (const message of messages) {
      client.send(message)
      expect(await echoes.next()).toBe(message)
    }
  const closed = once(client, 'close')
  client.close(4000)
  await closed
  for (const bytes of [up, down]) {
    const frames = framesIn(Buffer.concat(bytes)).filter(({ opcode }) => opcode === 1)
    expect(frames.filter(({ compressed }) => compressed)).toHaveLength(20 * messages.length)
    const others = frames.filter(({ compressed }) => !compressed)
    expect(others.length).toBeGreaterThan(0)
    for (const { payload } of others) expect(payload[0]).toBe(0)
  }
})

/** The frames that follow the head of a handshake. */
function framesIn(bytes: Buffer) {
  const frames: { opcode: number; compressed: boolean; payload: Buffer }[] = []
  for (let at = bytes.indexOf('\r\n\r\n') + 4; at < bytes.length; ) {
    const [first = 0, second = 0] = bytes.subarray(at)
    const short = second & 0x7f
    const size = short === 126 ? bytes.readUInt16BE(at + 2) : short
    at += short === 126 ? 4 : 2
    const mask = second & 0x80 ? bytes.subarray(at, at + 4) : undefined
    at += mask ? 4 : 0
    const payload = Buffer.from(bytes.subarray(at, at + size)).map((byte, index) =>
      mask ? byte ^ (mask[index % 4] ?? 0) : byte,
    )
    frames.push({ opcode: first & 0x0f, compressed: Boolean(first & 0x40), payload: Buffer.from(payload) })
    at += size
  }
  return frames
}

test('the standard’s listeners hear no message after terminate()', async () => {
  const { realtime, url } = await serve()
  realtime.on('connection', (socket) => {
    for (const text of ['first', 'second']) socket.send(text)
  })
  const client = connect(url)
  const heard: string[] = []
  client.onmessage = ({ data }) => {
    heard.push(data)
    client.terminate()
  }
  await new Promise((resolve) => client.addEventListener('close', resolve))
  expect(heard).toEqual(['first'])
})

test('who waits for `open` with a promise hears what the server says at once', async () => {
  const { realtime, url } = await serve()
  realtime.on('connection', (socket) => {
    socket.send('first')
    socket.send('second')
  })
  const client = connect(url, { transports: ['websocket'] })
  await once(client, 'open')
  const heard = new Queue<string>()
  client.on('message', (data) => heard.push(String(data)))
  expect(await heard.next()).toBe('first')
  expect(await heard.next()).toBe('second')
})

describe.each(transports)('over %s', (transport) => {
  const over = { transports: [transport] }

  test('auth, or a name and a password in the URL', async () => {
    const { url, connections } = await serve()
    const asked = async (address: string, options: WebSocketOptions): Promise<string | undefined> => {
      const client = connect(address, { ...over, ...options })
      const [{ request }] = await Promise.all([connections.next(), once(client, 'open')])
      return request.headers.authorization
    }
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
    const named = url.replace('://', '://you:se%20cret@')
    expect(await asked(url, { auth: 'me:secret' })).toBe(basic('me:secret'))
    expect(await asked(named, { auth: 'me:secret' })).toBe(basic('you:se cret'))
    expect(await asked(named, { headers: { authorization: 'Bearer x' } })).toBe('Bearer x')
  })

  test('a message in pieces is sent when it is whole, and its callbacks are called then', async () => {
    const { client, socket } = await pair(over)
    const arrived = messagesOf(socket)
    const called: number[] = []
    const bytes = Buffer.from('of ')
    client.send('one ', { fin: false }, () => called.push(1))
    client.send(bytes, { fin: false }, () => called.push(2))
    bytes.fill(0)
    expect(client.bufferedAmount).toBeGreaterThanOrEqual(7)
    await new Promise<void>((resolve) => client.send('three', () => resolve()))
    expect(called).toEqual([1, 2])
    client.send(Buffer.from([1]), { fin: false })
    client.send(new Blob(['2']), { fin: false })
    client.send('3', { fin: true })
    client.send('next')
    expect([await arrived.next(), await arrived.next()]).toEqual(['one of three', Buffer.from('\x0123')])
    expect(await arrived.next()).toBe('next')
    // A last piece that never comes is never sent, and says so.
    const lost = new Promise<Error | undefined>((resolve) => client.send('half', { fin: false }, resolve))
    client.close()
    expect(await lost).toBeInstanceOf(Error)
  })

  test('autoPong: false leaves the answers to pings that say something to the application', async () => {
    const { client, socket } = await pair({ ...over, autoPong: false })
    const pongs = new Queue<string>()
    socket.on('pong', (data) => pongs.push(String(data)))
    const pinged = once(client, 'ping')
    socket.ping('answer me')
    expect(String((await pinged)[0])).toBe('answer me')
    client.pong('at last')
    expect(await pongs.next()).toBe('at last')
  })

  test('maxPayload is exact, however small', async () => {
    const { client, socket } = await pair({ ...over, maxPayload: 10 })
    socket.send('x'.repeat(10))
    expect(String((await once(client, 'message'))[0])).toHaveLength(10)
    const closed = closeOf(socket)
    socket.send('x'.repeat(11))
    expect((await closed).code).toBe(1009)
  })

  test('patience: 0 leaves the answer to a close its time', async () => {
    const { client } = await pair({ ...over, patience: 0 })
    client.close(4000)
    expect((await once(client, 'close'))[0]).toBe(4000)
  })

  test('maxPayload: 0 is no limit', async () => {
    const { client, socket } = await pair({ ...over, maxPayload: 0, perMessageDeflate: true })
    const heard = once(client, 'message')
    socket.send('x'.repeat(10_000))
    expect(String((await heard)[0])).toHaveLength(10_000)
  })

  test('ping and pong of nothing are empty, of an array bytes; after the end they count', async () => {
    const { client, socket } = await pair(over)
    const pings = new Queue<string>()
    socket.on('ping', (data) => pings.push(String(data)))
    // A client in doubt asks with an empty one of its own.
    const said = async (): Promise<string> => (await pings.next()) || said()
    client.ping(null)
    expect(await pings.next()).toBe('')
    client.ping(0)
    expect(await said()).toBe('0')
    client.ping([104, 105])
    expect(await said()).toBe('hi')
    const closed = once(client, 'close')
    client.close()
    await closed
    const before = client.bufferedAmount
    client.ping('hi')
    expect(client.bufferedAmount).toBe(before + 2)
  })
})

describe.each(http)('callbacks over %s', (transport) => {
  async function counted() {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const connections = watch(realtime)
    let requests = 0
    const server = createServer((request, response) => {
      requests++
      realtime.middleware(request, response, () => response.writeHead(404).end())
    })
    const client = connect(`ws://127.0.0.1:${await listen(server)}/`, { transports: [transport] })
    const [{ socket }] = await Promise.all([connections.next(), once(client, 'open')])
    return { client, socket, requests: () => requests }
  }

  test('who sends one after the other does not wait for a round trip each time', async () => {
    const { client, socket, requests } = await counted()
    const arrived = messagesOf(socket)
    const before = requests()
    for (let i = 0; i < 100; i++) await new Promise((resolve) => client.send(`${i}`, resolve))
    for (let i = 0; i < 100; i++) expect(await arrived.next()).toBe(`${i}`)
    expect(requests() - before).toBeLessThan(20)
  })

  test('but not while more than 64 KiB waits', async () => {
    const { client, socket } = await counted()
    const size = 10_000
    const waiting: number[] = []
    const all = Array.from({ length: 100 }, (_, i) => {
      return new Promise<void>((resolve) =>
        client.send(Buffer.alloc(size), () => {
          // What is behind it does not count.
          waiting.push(client.bufferedAmount - (99 - i) * size)
          resolve()
        }),
      )
    })
    await Promise.all(all)
    expect(Math.max(...waiting)).toBeLessThanOrEqual(65_536)
    socket.terminate()
  })
})

test('who listens in the standard’s way counts as well, as long as it listens', async () => {
  const { url } = await serve()
  const client = connect(url)
  const heard: string[] = []
  const object = { handleEvent: () => heard.push('object') }
  const abort = new AbortController()
  for (let i = 0; i < 2; i++) client.addEventListener('open', object)
  client.addEventListener('open', object, true)
  client.addEventListener('open', () => heard.push(`once ${client.listenerCount('open')}`), { once: true })
  client.addEventListener('open', () => heard.push('aborted'), { signal: abort.signal })
  client.onopen = () => heard.push('on')
  client.on('open', () => heard.push('emitter'))
  client.addEventListener('other', () => {})
  expect([client.listenerCount('open'), client.listenerCount('other')]).toEqual([6, 0])
  abort.abort()
  client.removeEventListener('open', object)
  expect(client.listenerCount('open')).toBe(4)
  await once(client, 'open')
  expect(heard.toSorted()).toEqual(['emitter', 'object', 'on', 'once 4'])
  expect(client.listenerCount('open')).toBe(3)
  expect(client.listeners('open')).toHaveLength(1)
  client.removeAllListeners('open')
  expect([client.listenerCount('open'), client.onopen]).toEqual([0, null])
  client.dispatchEvent(new Event('open'))
  expect(heard.slice(4)).toEqual([])
})

test('a listener with `once` that is taken off leaves nothing behind, however often', async () => {
  const warnings: string[] = []
  const note = ({ message }: Error): void => void warnings.push(message)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  const client = connect('ws://localhost:1/')
  for (let i = 0; i < 20; i++) {
    const listener = (): void => {}
    const abort = new AbortController()
    client.addEventListener('close', listener, { once: true })
    client.removeEventListener('close', listener)
    client.addEventListener('error', listener, { once: true, signal: abort.signal })
    abort.abort()
  }
  expect(client.listenerCount('close')).toBe(0)
  await new Promise(setImmediate)
  expect(warnings).toEqual([])
})

test('terminate(): the connection ends once the server has word of it, also if nothing comes of the server', async () => {
  const { port, connections } = await serve()
  let mute = false
  const sockets = new Queue<Socket>()
  const relay = createRelay((client) => {
    const server = connectTCP(port, '127.0.0.1')
    for (const one of [client, server]) one.on('error', () => {})
    client.pipe(server)
    server.on('data', (data) => mute || client.write(data))
    sockets.push(client)
  })
  const client = connect(`ws://127.0.0.1:${await listen(relay as never)}/`, { transports: ['websocket'] })
  const [{ socket }] = await Promise.all([connections.next(), once(client, 'open')])
  const gone = once(await sockets.next(), 'end')
  const closed = closeOf(socket)
  mute = true
  // No time passes any more: nobody gives up waiting.
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  client.terminate()
  expect((await closed).code).toBe(1006)
  await gone
})

test('a connection that a session has left gets 10 s to end', async () => {
  const { url } = await serve()
  const client = connect(url, { transports: ['websocket'] })
  await once(client, 'open')
  const set = vi.spyOn(globalThis, 'setTimeout')
  onTestFinished(() => set.mockRestore())
  const closed = once(client, 'close')
  client.terminate()
  await closed
  // So what `ws` binds is named: it cuts the connection.
  const cuts = set.mock.calls.filter(([run]) => run.name === 'bound ').map(([, ms]) => ms)
  expect(cuts).toContain(10_000)
})

test('a signal keeps no more of a socket than it does of any EventTarget', () => {
  const life = new AbortController()
  const { signal } = life
  const target = new EventTarget()
  target.addEventListener('message', () => {}, { signal })
  const own = getEventListeners(signal, 'abort').length
  const client = connect('ws://localhost:1/')
  for (const type of ['message', 'close'] as const) client.addEventListener(type, () => {}, { signal })
  expect(getEventListeners(signal, 'abort').length).toBe(3 * own)
  life.abort()
  expect([client.listenerCount('message'), client.listenerCount('close')]).toEqual([0, 0])
})

test('what is wrong with a URL is said in the words of ws', () => {
  const wrong = {
    foo: 'Invalid URL: foo',
    'bad-scheme://host': 'The URL\'s protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"',
    'wss://host#part': 'The URL contains a fragment identifier',
    'ws+unix:': "The URL's pathname is empty",
  }
  for (const [url, message] of Object.entries(wrong))
    expect(() => connect(url)).toThrow(expect.objectContaining({ name: 'SyntaxError', message }))
  expect(() => new WebSocket('ws://localhost', ['a', 'a'])).toThrow('An invalid or duplicated subprotocol')
})

test('a server that takes none of the subprotocols, as an error in the words of ws', async () => {
  const { url } = await serve({ handleProtocols: () => false })
  const client = new WebSocket(url, ['chat'], { remember: false })
  const [error] = (await once(client, 'error')) as [Error]
  expect(error.message).toBe('Server sent no subprotocol')
})
