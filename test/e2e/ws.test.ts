// Code written for `ws`, on both ends: its style of listening, its types, its statics - over each transport.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type * as ws from 'ws'
import { WebSocket as Standard, type Transport } from '../../client/node.ts'
import { Socket } from '../../server/index.ts'
import WebSocket, { createWebSocketStream, type RawData, Server, WebSocketServer } from '../../ws/index.ts'
import { freeAddress } from '../contract/class-server.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { Queue } from '../support/queue.ts'
import { messagesOf, serve } from '../support/serving.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

describe.each(transports)('over %s', (transport) => {
  async function pair(
    options = {},
    serverOptions = {},
    Class: typeof Standard = WebSocket,
  ): Promise<{ client: Standard; socket: Socket }> {
    const { url, connections } = await serve(serverOptions)
    const client = new Class(url, { transports: [transport], ...options })
    const [{ socket }] = await Promise.all([connections.next(), once(client, 'open')])
    onTestFinished(async () => {
      if (client.readyState === WebSocket.CLOSED) return
      const closed = once(client, 'close')
      socket.terminate()
      await closed
    })
    return { client, socket }
  }

  test('messages are Buffers and whether they are binary, the reason of a close is a Buffer', async () => {
    const { client, socket } = await pair()
    socket.send('text')
    expect(await once(client, 'message')).toEqual([Buffer.from('text'), false])
    socket.send(Buffer.from([0, 255]))
    expect(await once(client, 'message')).toEqual([Buffer.from([0, 255]), true])
    socket.close(4001, 'reason')
    expect(await once(client, 'close')).toEqual([4001, Buffer.from('reason')])
  })

  test('binaryType: Buffers for listeners of on and Blobs for the others, until it is set', async () => {
    const { client, socket } = await pair({}, {}, Standard)
    const bytes = Buffer.from([1, 2])
    const both = async (): Promise<unknown[]> => {
      const event = new Promise<MessageEvent>((resolve) =>
        client.addEventListener('message', resolve, { once: true }),
      )
      const message = once(client, 'message')
      socket.send(bytes)
      return [(await event).data, (await message)[0]]
    }
    const [blob, buffer] = await both()
    expect([blob instanceof Blob, Buffer.isBuffer(buffer)]).toEqual([true, true])
    client.binaryType = 'nodebuffer'
    expect(await both()).toEqual([bytes, bytes])
    client.binaryType = 'fragments'
    expect(await both()).toEqual([[bytes], [bytes]])
    client.binaryType = 'arraybuffer'
    for (const data of await both()) expect(data).toBeInstanceOf(ArrayBuffer)
    client.binaryType = 'nothing' as 'blob'
    expect(client.binaryType).toBe('arraybuffer')
  })

  test('pings and pongs of both applications arrive, every one, with what they say', async () => {
    const { client, socket } = await pair()
    const [pings, pongs] = [new Queue<string>(), new Queue<string>()]
    socket.on('ping', (data) => pings.push(String(data)))
    client.on('pong', (data) => pongs.push(String(data)))
    for (const data of ['one', 'two']) client.ping(data)
    for (const data of ['one', 'two']) {
      expect(await pings.next()).toBe(data)
      expect(await pongs.next()).toBe(data)
    }
    client.ping()
    expect([await pings.next(), await pongs.next()]).toEqual(['', ''])
    const [clientPings, serverPongs] = [new Queue<string>(), new Queue<string>()]
    client.on('ping', (data) => clientPings.push(String(data)))
    socket.on('pong', (data) => serverPongs.push(String(data)))
    await new Promise((resolve) => socket.ping('three', undefined, resolve))
    socket.ping('four')
    for (const data of ['three', 'four']) expect(await clientPings.next()).toBe(data)
    for (const data of ['three', 'four']) expect(await serverPongs.next()).toBe(data)
    await new Promise((resolve) => client.ping('', false, resolve))
    client.pong('unasked')
    expect(await serverPongs.next()).toBe('unasked')
    expect(() => client.ping('x'.repeat(126))).toThrow(RangeError)
  })

  test('a client that has paused makes the server’s bufferedAmount stand, and loses nothing', async () => {
    const { client, socket } = await pair({}, { heartbeat: 100 })
    const messages = new Queue<string>()
    client.on('message', (data) => messages.push(String(data)))
    client.pause()
    expect(client.isPaused).toBe(true)
    // Two pings from here, two heartbeats: by then the server knows, on every transport.
    client.ping('paused')
    await once(socket, 'ping')
    const sent = Array.from({ length: 50 }, (_, i) => `${i} ${'x'.repeat(1000)}`)
    for (const one of sent) socket.send(one)
    client.ping('again')
    await once(socket, 'ping')
    expect(socket.bufferedAmount).toBeGreaterThanOrEqual(sent.join('').length)
    expect(messages.size).toBe(0)
    client.resume()
    for (const one of sent) expect(await messages.next()).toBe(one)
    expect(socket.bufferedAmount).toBe(0)
  })

  test('callbacks of send: when it has gone out, or with the error', async () => {
    const { client, socket } = await pair()
    const arrived = messagesOf(socket)
    const called: unknown[] = []
    await new Promise<void>((resolve) => {
      client.send('one', (error) => called.push(['one', error]))
      client.send(new Blob(['two']), {}, (error) => called.push(['two', error]))
      client.send('three', { binary: true }, (error) => {
        called.push(['three', error])
        resolve()
      })
    })
    expect(called).toEqual([
      ['one', undefined],
      ['two', undefined],
      ['three', undefined],
    ])
    expect([await arrived.next(), await arrived.next(), await arrived.next()]).toEqual([
      'one',
      Buffer.from('two'),
      Buffer.from('three'),
    ])
    client.send(Buffer.from('as text'), { binary: false })
    expect(await arrived.next()).toBe('as text')
    client.close()
    const late = await new Promise((resolve) => client.send('late', resolve))
    expect(String(late)).toBe('Error: WebSocket is not open: readyState 2 (CLOSING)')
    await once(client, 'close')
    const later = await new Promise((resolve) => client.send('later', resolve))
    expect(String(later)).toBe('Error: WebSocket is not open: readyState 3 (CLOSED)')
  })

  test('closes with the codes that ws takes', async () => {
    const { client, socket } = await pair()
    expect(() => client.close(1005)).toThrow('First argument must be a valid error code number')
    const closed = [once(client, 'close'), once(socket, 'close')]
    client.close(1001.5, 'going')
    for (const one of closed) expect(await one).toEqual([1001, Buffer.from('going')])
  })

  test('close() after the end does nothing, whatever its arguments', async () => {
    const { client } = await pair()
    const closed = once(client, 'close')
    client.close(1001)
    await closed
    for (const args of [[1001], [5], [1000, 'x'.repeat(124)]] as [number, string?][])
      expect(client.close(...args)).toBe(undefined)
  })

  test('an echo reaches a client that has said goodbye right behind its message', async () => {
    const { client, socket } = await pair()
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    const echo = once(client, 'message')
    const closed = once(client, 'close')
    client.send('there and back')
    client.close(4000)
    expect(String((await echo)[0])).toBe('there and back')
    expect((await closed)[0]).toBe(4000)
  })

  test('terminate: both ends see 1006 at once, paused or not', async () => {
    for (const paused of [false, true]) {
      const { client, socket } = await pair()
      if (paused) client.pause()
      const closed = Promise.all([once(client, 'close'), once(socket, 'close')])
      client.terminate()
      expect(client.readyState).toBe(WebSocket.CLOSING)
      for (const [code] of await closed) expect(code).toBe(1006)
      expect(client.readyState).toBe(WebSocket.CLOSED)
    }
  })

  test('as a stream, with back pressure both ways', async () => {
    const { client, socket } = await pair()
    const here = createWebSocketStream(client)
    const there = createWebSocketStream(socket)
    there.pipe(there)
    const bytes = Buffer.alloc(300_000, 'everwire')
    const heard: Buffer[] = []
    here.on('data', (chunk: Buffer) => {
      heard.push(chunk)
      if (heard.reduce((sum, { length }) => sum + length, 0) === bytes.length) here.end()
    })
    for (let at = 0; at < bytes.length; at += 30_000) here.write(bytes.subarray(at, at + 30_000))
    await Promise.all([once(here, 'close'), once(there, 'close')])
    expect(Buffer.concat(heard).equals(bytes)).toBe(true)
  })

  test('a stream that nobody reads stops the server', async () => {
    const { client, socket } = await pair()
    const stream = createWebSocketStream(client, { readableHighWaterMark: 1000 })
    socket.send(Buffer.alloc(2000, 1))
    await once(stream, 'readable')
    expect(client.isPaused).toBe(true)
    expect((stream.read() as Buffer).length).toBe(2000)
    socket.send(Buffer.alloc(10, 2))
    await once(stream, 'readable')
    expect(stream.read()).toEqual(Buffer.alloc(10, 2))
    expect(client.isPaused).toBe(false)
  })

  test('what is listened to within open and connection misses nothing', async () => {
    const { realtime, url } = await serve()
    const heard = new Queue<string>()
    realtime.on('connection', (socket) => {
      socket.send('greeting')
      socket.on('message', (data) => heard.push(`server: ${data}`))
    })
    const client = new WebSocket(url, { transports: [transport] })
    onTestFinished(() => client.terminate())
    client.on('open', function () {
      this.on('message', (data) => heard.push(`client: ${data}`))
      this.send('hello')
    })
    expect([await heard.next(), await heard.next()].sort()).toEqual(['client: greeting', 'server: hello'])
  })

  test('no error for a connection that was open and is lost, only close', async () => {
    const { client, socket } = await pair()
    const events: string[] = []
    client.on('error', () => events.push('error'))
    const closed = once(client, 'close')
    socket.terminate()
    expect((await closed)[0]).toBe(1006)
    expect(events).toEqual([])
  })

  test('a failed connect is an error with its code, and a close', async () => {
    const client = new WebSocket(await freeAddress(), { transports: [transport] })
    const error = once(client, 'error') as unknown as Promise<[NodeJS.ErrnoException]>
    const event = new Promise<{ error?: Error; message?: string }>((resolve) =>
      client.addEventListener('error', (one) => resolve(one as object)),
    )
    const closed = new Promise((resolve) => client.on('close', resolve))
    expect((await error)[0].code).toBe('ECONNREFUSED')
    expect((await event).error).toBe((await error)[0])
    expect((await event).message).toMatch(/ECONNREFUSED/)
    expect(await closed).toBe(1006)
  })
})

test('a refused handshake is an error that says the status, and nobody has to listen to it', async () => {
  const { url } = await serve({ verifyClient: (_info, done) => done(false, 402) })
  const client = new WebSocket(url, { transports: ['websocket'] })
  const [error] = (await once(client, 'error')) as [Error]
  expect(error.message).toBe('Unexpected server response: 402')
  const silent = new WebSocket(url, { transports: ['websocket'] })
  const closed = new Promise<number>((resolve) => silent.on('close', resolve))
  expect(await closed).toBe(1006)
})

test('closed while it connects, and what is too early', async () => {
  const { url } = await serve()
  const client = new WebSocket(url)
  expect(() => client.send('early')).toThrow('WebSocket is not open: readyState 0 (CONNECTING)')
  expect(() => client.ping()).toThrow('WebSocket is not open: readyState 0 (CONNECTING)')
  client.pause()
  expect(client.isPaused).toBe(false)
  const error = once(client, 'error')
  client.terminate()
  expect(String((await error)[0])).toMatch('WebSocket was closed before the connection was established')
})

test('headers, origin and the answer to the handshake', async () => {
  const { url, connections, realtime } = await serve({ origins: '*' })
  realtime.on('headers', (headers) => headers.push('X-Answer: yes'))
  const client = new WebSocket(url, ['chat'], {
    headers: { 'X-Asked': 'yes' },
    origin: 'https://example.com',
    handshakeTimeout: 5000,
  })
  onTestFinished(() => client.terminate())
  const [upgrade, { request }] = await Promise.all([
    once(client, 'upgrade'),
    connections.next(),
    once(client, 'open'),
  ])
  expect((upgrade[0] as IncomingMessage).headers['x-answer']).toBe('yes')
  expect(request.headers).toMatchObject({ 'x-asked': 'yes', origin: 'https://example.com' })
  expect(client.protocol).toBe('chat')
})

test('the listeners are an EventEmitter’s', async () => {
  const { url } = await serve()
  const client = new WebSocket(url)
  onTestFinished(() => client.terminate())
  const order: string[] = []
  const never = (): void => void order.push('never')
  client.on('open', never).off('open', never)
  client.addListener('open', never).removeListener('open', never)
  client.prependListener('open', () => order.push('second'))
  client.prependOnceListener('open', () => order.push('first'))
  client.on('own', (value: string) => order.push(value))
  expect(client.listenerCount('open')).toBe(2)
  expect(client.eventNames()).toEqual(['open', 'own'])
  expect(client.emit('own', 'own')).toBe(true)
  await once(client, 'open')
  expect(order).toEqual(['own', 'first', 'second'])
  client.removeAllListeners()
  expect([client.listenerCount('open'), client.listeners('own')]).toEqual([0, []])
  expect(client.setMaxListeners(3).getMaxListeners()).toBe(3)
})

describe('a server', () => {
  async function chat(server: HttpServer, options: ws.ServerOptions): Promise<ws.WebSocketServer> {
    const alive = new WeakMap<ws.WebSocket, boolean>()
    const wss: ws.WebSocketServer = new WebSocketServer({ ...options, server })
    wss.on('connection', (socket, request) => {
      alive.set(socket, true)
      socket.on('pong', () => alive.set(socket, true))
      socket.on('message', (data: RawData, isBinary: boolean) => {
        for (const client of wss.clients) {
          if (client !== socket && client.readyState === WebSocket.OPEN) {
            client.send(data, { binary: isBinary }, (error?: Error) => error && console.error(error))
          }
        }
      })
      socket.on('error', console.error)
      socket.onclose = ({ wasClean }) => expect([wasClean, request.url]).toEqual([true, '/chat?room=1'])
    })
    server.listen(0, '127.0.0.1')
    await once(wss, 'listening')
    return wss
  }

  test('typed against ws, with clients typed against the standard', async () => {
    const Global: typeof globalThis.WebSocket = WebSocket
    const server = createServer()
    const wss = await chat(server, { path: '/chat', clientTracking: true, maxPayload: 1000 })
    const url = `ws://127.0.0.1:${(wss.address() as AddressInfo).port}/chat?room=1`
    const [one, other] = [new Global(url), new Global(url)]
    await Promise.all([one, other].map((socket) => new Promise((resolve) => (socket.onopen = resolve))))
    const heard = new Promise<MessageEvent>((resolve) => (other.onmessage = resolve))
    one.send('to all')
    expect((await heard).data).toBe('to all')
    for (const socket of [one, other]) socket.close()
    wss.removeAllListeners()
    await new Promise<void>((resolve) => wss.close(() => resolve()))
    await new Promise((resolve) => server.close(resolve))
  })

  test('options count when they are set later, also limits', async () => {
    const { realtime, url } = await serve()
    realtime.options.handleProtocols = (offered) => [...offered].pop() ?? false
    realtime.options.maxPayload = 10
    for (const transport of transports) {
      const client = new WebSocket(url, ['a', 'b'], { transports: [transport] })
      await once(client, 'open')
      expect(client.protocol).toBe('b')
      client.send('x'.repeat(11))
      expect((await once(client, 'close'))[0]).toBe(1009)
    }
  })

  test('a subprotocol that was not offered fails the client, on every transport', async () => {
    const { url, connections } = await serve({ handleProtocols: () => 'x' })
    for (const transport of transports) {
      const client = new WebSocket(url, ['a', 'b'], { transports: [transport] })
      client.on('open', () => expect.unreachable('nothing was agreed on'))
      const error = new Promise<Error>((resolve) => client.once('error', resolve))
      const code = new Promise<number>((resolve) => client.once('close', resolve))
      expect([(await error).message, await code]).toEqual(['Server sent an invalid subprotocol', 1006])
      expect((await connections.next()).socket.protocol).toBe('x')
    }
  })

  test('handleUpgrade twice for one connection throws', async () => {
    const realtime = new Server({ noServer: true })
    const server = createServer()
    server.on('upgrade', (request, connection, head) => {
      realtime.handleUpgrade(request, connection, head, (socket) => socket.close(4000))
      const again = (): void => realtime.handleUpgrade(request, connection, head, () => {})
      expect(again).toThrow(/more than once with the same socket/)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
    expect((await once(client, 'close'))[0]).toBe(4000)
    realtime.close()
    await new Promise((resolve) => server.close(resolve))
  })

  test('closed within connection, the shared HTTP server leaves the connection open', async () => {
    const server = createServer()
    const realtime = new WebSocketServer({ server })
    realtime.on('connection', (socket) => {
      server.close()
      socket.send('still here')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = new WebSocket(url, { transports: ['websocket'] })
    expect(String((await once(client, 'message'))[0])).toBe('still here')
    client.close()
    await once(server, 'close')
    realtime.close()
  })

  test('without clientTracking there are no clients', async () => {
    const { realtime, url, connections } = await serve({ clientTracking: false })
    expect(realtime.clients).toBe(undefined)
    const client = new WebSocket(url)
    const { socket } = await connections.next()
    await once(client, 'open')
    client.close()
    await once(socket, 'close')
  })
})

test.each(peerKinds)(
  'sockets of %s take what ws takes, and have nothing that leads past the session',
  async (kind) => {
    const peer = await connectPeer(await serve(), kind)
    const socket = Object.assign(peer.socket, { isAlive: true })
    expect(socket.isAlive).toBe(true)
    expect(['_socket', '_sender', '_receiver'].filter((name) => name in socket)).toEqual([])
    peer.socket.send([1, 2, 3])
    expect(await next(peer)).toEqual(Buffer.from([1, 2, 3]))
    peer.socket.send()
    expect(await next(peer)).toEqual(Buffer.alloc(0))
    peer.socket.binaryType = 'nothing' as 'nodebuffer'
    expect(peer.socket.binaryType).toBe('nodebuffer')
  },
)

test('the statics of ws', async () => {
  // Also where somebody looks at the class itself, as at that of `ws`.
  for (const name of ['readyState', 'binaryType', 'isPaused', 'onmessage'])
    expect(Object.getOwnPropertyDescriptor(WebSocket.prototype, name)).toMatchObject({ enumerable: true })
  expect(WebSocket.name).toBe('WebSocket')
  const own = ['Server', 'WebSocketServer', 'WebSocket', 'createWebSocketStream', 'OPEN', 'CONNECTING']
  expect(own.filter((name) => !Object.hasOwn(WebSocket, name))).toEqual([])
  expect([WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED]).toEqual([0, 1, 2, 3])
  expect([WebSocket.Server, WebSocket.WebSocket]).toEqual([WebSocketServer, WebSocket])
  const { url, connections } = await serve()
  const client = new WebSocket(url)
  const { socket } = await connections.next()
  expect([client instanceof WebSocket, socket instanceof WebSocket, {} instanceof WebSocket]).toEqual([
    true,
    true,
    false,
  ])
  expect(socket).toBeInstanceOf(Socket)
  class Extended extends WebSocket {}
  const extended = new Extended(url)
  expect([extended instanceof WebSocket, extended instanceof Extended]).toEqual([true, true])
  expect([client instanceof Extended, socket instanceof Extended]).toEqual([false, false])
  for (const one of [client, extended]) one.terminate()
})

test('a server needs a place, as in ws', () => {
  const message = 'One and only one of the "port", "server", or "noServer" options must be specified'
  expect(() => new WebSocketServer()).toThrow(new TypeError(message))
  expect(() => new WebSocketServer({ path: '/x' })).toThrow(TypeError)
  expect(new WebSocketServer({ noServer: true })).toBeInstanceOf(WebSocketServer)
})
