// `session: false` in Node: one WebSocket of `ws`, with what only `ws` has, against a server of `ws`.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type WebSocket as Plain, WebSocketServer as PlainServer, type ServerOptions } from 'ws'
import { WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { WebSocket as AsInWs } from '../../ws/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'

const [ws, ours] = [
  { Class: AsInWs, name: 'everwire/ws' },
  { Class: WebSocket, name: 'everwire' },
]

/** A server of `ws`, and where it is. */
async function plain(options: ServerOptions = {}, server: Server = createServer()) {
  const wss = new PlainServer({ server, ...options })
  const sockets = new Queue<Plain>()
  const requests = new Queue<IncomingMessage>()
  wss.on('connection', (socket, request) => {
    sockets.push(socket)
    requests.push(request)
  })
  const port = await listen(server)
  return { url: `ws://127.0.0.1:${port}`, port, sockets, requests, wss }
}

function connect(url: string, options: WebSocketOptions = {}, Class: typeof WebSocket = WebSocket) {
  const socket = new Class(url, { session: false, ...options })
  onTestFinished(() => socket.terminate())
  return socket
}

async function opened(url: string, options?: WebSocketOptions, Class?: typeof WebSocket) {
  const socket = connect(url, options, Class)
  await once(socket, 'open')
  return socket
}

/** Answers each handshake like this. */
async function answering(answer: (request: IncomingMessage) => string): Promise<string> {
  const server = createServer()
  server.on('upgrade', (request, socket) => socket.end(`HTTP/1.1 ${answer(request)}`))
  return `ws://127.0.0.1:${await listen(server)}`
}

describe('the handshake', () => {
  const refusal = '401 Unauthorized\r\nConnection: close\r\nContent-Length: 8\r\n\r\nsign in!'

  test('whoever listens to unexpected-response has the answer; nothing else happens until it is closed', async () => {
    const socket = connect(await answering(() => refusal))
    const events: string[] = []
    for (const type of ['error', 'close'] as const) socket.on(type, () => events.push(type))
    const [request, response] = await once(socket, 'unexpected-response')
    expect([response.statusCode, request.path]).toEqual([401, '/'])
    let body = ''
    for await (const chunk of response) body += chunk
    expect(body).toBe('sign in!')
    expect([socket.readyState, events]).toEqual([0, []])
    socket.close()
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toBe('WebSocket was closed before the connection was established')
  })

  test('nobody listens: an error with the status', async () => {
    const socket = connect(await answering(() => refusal))
    expect(((await once(socket, 'error')) as [Error])[0].message).toBe('Unexpected server response: 401')
  })

  test('redirects are followed where that is asked for, and `url` says where it led', async () => {
    const { url, requests } = await plain()
    const from = await answering(() => `302 Found\r\nLocation: ${url}/there\r\nConnection: close\r\n\r\n`)
    const socket = connect(from, {
      followRedirects: true,
      headers: { Authorization: 'Bearer me', 'X-Id': '1' },
    })
    const [open, request] = await Promise.all([once(socket, 'open'), requests.next()])
    expect(open).toEqual([])
    expect(socket.url).toBe(`${url}/there`)
    // Another port is another host: it is not to know who this is.
    expect([request.headers.authorization, request.headers['x-id']]).toEqual([undefined, '1'])
    const strict = connect(from)
    expect(String(await once(strict, 'error'))).toMatch('Unexpected server response: 302')
    const loop = await answering(() => `302 Found\r\nLocation: /\r\nConnection: close\r\n\r\n`)
    const dizzy = connect(loop, { followRedirects: true, maxRedirects: 2 })
    expect(String(await once(dizzy, 'error'))).toMatch('Maximum redirects exceeded')
  })

  test('a listener of redirect sees each, may change its headers, and takes them over as they are', async () => {
    const { url, requests } = await plain()
    const from = await answering(() => `307 Away\r\nLocation: ${url}/there\r\nConnection: close\r\n\r\n`)
    const socket = connect(from, {
      followRedirects: true,
      headers: { Authorization: 'Bearer me', Cookie: 'a=1' },
    })
    const seen: string[] = []
    socket.on('redirect', (to, request) => {
      seen.push(to)
      request.removeHeader('cookie')
    })
    const [{ headers }] = await Promise.all([requests.next(), once(socket, 'open')])
    expect(seen).toEqual([`${url}/there`])
    expect([headers.authorization, headers.cookie]).toEqual(['Bearer me', undefined])
  })

  test('finishRequest, protocolVersion, auth and handshakeTimeout', async () => {
    const { url, requests } = await plain()
    const given: unknown[] = []
    const socket = connect(url, {
      protocolVersion: 8,
      origin: 'http://me',
      auth: 'me:secret',
      finishRequest(request, self) {
        given.push(self)
        request.setHeader('X-Late', 'yes')
        // It comes as early as in `ws`.
        request.on('socket', () => request.end())
      },
    })
    const [{ headers }] = await Promise.all([requests.next(), once(socket, 'open')])
    expect(given).toEqual([socket])
    expect(headers).toMatchObject({
      'sec-websocket-version': '8',
      'sec-websocket-origin': 'http://me',
      'x-late': 'yes',
      authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`,
    })
    expect(() => connect(url, { protocolVersion: 9 })).toThrow(
      new RangeError('Unsupported protocol version: 9 (supported versions: 8, 13)'),
    )
    const mute = createServer()
    mute.on('upgrade', () => {})
    const waiting = connect(`ws://127.0.0.1:${await listen(mute)}`, { handshakeTimeout: 20 })
    expect(String(await once(waiting, 'error'))).toMatch('Opening handshake has timed out')
  })

  test('finishRequest that throws is an error', async () => {
    const { url } = await plain()
    const socket = connect(url, {
      finishRequest() {
        throw new Error('not now')
      },
    })
    const closed = new Promise((resolve) => socket.on('close', resolve))
    expect(String(await once(socket, 'error'))).toBe('Error: not now')
    expect(await closed).toBe(1006)
  })

  test('through a socket of the file system', async () => {
    const server = createServer()
    const path = join(tmpdir(), `everwire-${process.pid}-${performance.now()}.sock`)
    server.listen(path)
    await once(server, 'listening')
    const { requests, sockets } = await plain({}, server)
    const socket = await opened(`ws+unix:${path}:/there?room=1`)
    expect((await requests.next()).url).toBe('/there?room=1')
    expect(socket.url).toBe(`ws+unix:${path}:/there?room=1`)
    ;(await sockets.next()).send('found')
    expect(String((await once(socket, 'message'))[0])).toBe('found')
    expect(() => connect('ws+unix:')).toThrow("The URL's pathname is empty")
  })
})

describe('messages', () => {
  test('compressed where both sides want it, each as it is asked', async () => {
    const { url, sockets } = await plain({ perMessageDeflate: { threshold: 0 } })
    const socket = await opened(url, { perMessageDeflate: { threshold: 0 } })
    expect(socket.extensions).toBe('permessage-deflate')
    const peer = await sockets.next()
    const text = 'over and over '.repeat(2000)
    const heard = once(peer, 'message')
    await new Promise<void>((resolve) => {
      socket.send(text, (error) => {
        expect([error, socket.bufferedAmount]).toEqual([undefined, 0])
        resolve()
      })
    })
    expect(String((await heard)[0])).toBe(text)
    peer.send(text)
    expect(String((await once(socket, 'message'))[0])).toBe(text)
    expect((await opened(url)).extensions).toBe('')
  })

  test('in pieces, with masks or without, as text or as binary', async () => {
    const { url, sockets } = await plain()
    const socket = await opened(url)
    const peer = await sockets.next()
    const heard: unknown[] = []
    peer.on('message', (data, isBinary) => heard.push(String(data), isBinary))
    const fault = once(peer, 'error')
    socket.send('one ', { fin: false })
    socket.send(Buffer.from('message'), { fin: true })
    socket.send('binary', { binary: true })
    socket.send('bare', { mask: false })
    expect(String(await fault)).toMatch('MASK must be set')
    expect(heard).toEqual(['one message', false, 'binary', true])
  })

  test('who waits for `open` with a promise hears what the server says at once', async () => {
    const { url, wss } = await plain()
    wss.on('connection', (peer) => {
      peer.send('at once')
      peer.on('message', () => peer.send('asked for'))
    })
    const socket = await opened(url)
    const heard = new Queue<string>()
    socket.on('message', (data) => heard.push(String(data)))
    socket.send('say something')
    expect(await heard.next()).toBe('at once')
  })

  test('callbacks, and what became of them when it is over before a Blob was read', async () => {
    const { url } = await plain()
    const socket = await opened(url)
    expect(await new Promise((resolve) => socket.send('sent', resolve))).toBe(undefined)
    const failed: string[] = []
    const both = new Promise<void>((resolve) => {
      const done = (error?: Error): void => {
        if (failed.push(`${socket.readyState} ${error?.message}`) === 2) resolve()
      }
      socket.send(new Blob(['read later']), done)
      socket.send('behind it', done)
    })
    socket.terminate()
    await both
    const why = '2 The socket was closed while the blob was being read'
    expect(failed).toEqual([why, why])
  })

  test('a Blob that cannot be read is an error', async () => {
    const { url } = await plain()
    const socket = await opened(url)
    const blob = new Blob(['x'])
    blob.arrayBuffer = () => Promise.reject(new Error('gone'))
    socket.send(blob)
    const [error] = (await once(socket, 'error')) as [Error]
    expect([error.name, error.message]).toEqual(['NotReadableError', 'The blob could not be read'])
  })

  test('a fault of the server is an error, and the end', async () => {
    const { url, sockets } = await plain()
    const socket = await opened(url)
    const events: string[] = []
    socket.on('error', (error) => events.push(error.message))
    const peer = (await sockets.next()) as unknown as { _socket: { write(data: Buffer): void } }
    peer._socket.write(Buffer.from([0x85, 0]))
    const code = await new Promise((resolve) => socket.on('close', resolve))
    expect(events).toEqual(['Invalid WebSocket frame: invalid opcode 5'])
    expect(code).toBe(1006)
  })

  test('pings and pongs, empty ones too; answered by the application where it wants to', async () => {
    const { url, sockets } = await plain()
    const socket = await opened(url, { autoPong: false })
    const peer = await sockets.next()
    const [pings, pongs] = [new Queue<string>(), new Queue<string>()]
    socket.on('ping', (data) => pings.push(String(data)))
    socket.on('pong', (data) => pongs.push(String(data)))
    peer.on('pong', (data) => pongs.push(`there: ${data}`))
    peer.ping()
    peer.pong()
    expect([await pings.next(), await pongs.next()]).toEqual(['', ''])
    socket.pong(7)
    expect(await pongs.next()).toBe('there: 7')
    socket.ping([104, 105])
    expect(await pongs.next()).toBe('hi')
    expect(() => socket.ping('x'.repeat(126))).toThrow(RangeError)
  })
})

describe.each([ws, ours])('where the two differ: $name', ({ Class }) => {
  const asInWs = Class === AsInWs

  test('the default of binaryType, of perMessageDeflate, and messages behind the own goodbye', async () => {
    const { url, sockets } = await plain({ perMessageDeflate: true })
    const socket = await opened(url, {}, Class)
    expect(socket.binaryType).toBe(asInWs ? 'nodebuffer' : 'blob')
    expect(socket.extensions).toBe(asInWs ? 'permessage-deflate' : '')
    const heard: unknown[] = []
    socket.addEventListener('message', ({ data }) => heard.push(data))
    const behind = once(socket, 'message')
    socket.close()
    ;(await sockets.next()).send('still')
    await behind
    await once(socket, 'close')
    expect(heard).toEqual(asInWs ? ['still'] : [])
  })

  test('what is sent that is nothing', async () => {
    const { url, sockets } = await plain()
    const socket = await opened(url, {}, Class)
    const peer = await sockets.next()
    const heard = new Queue<string>()
    peer.on('message', (data, isBinary) => heard.push(`${isBinary ? 'binary' : 'text'} ${data}`))
    const send = socket.send.bind(socket) as (data?: unknown) => void
    if (asInWs) send()
    else expect(() => send()).toThrow(TypeError)
    for (const data of [null, 0, [104, 105]]) send(data)
    const expected = asInWs
      ? ['binary ', 'binary ', 'text 0', 'binary hi']
      : ['text null', 'text 0', 'text 104,105']
    for (const one of expected) expect(await heard.next()).toBe(one)
  })

  test('codes to close with, and what is said of others', async () => {
    const { url, sockets } = await plain()
    const socket = await opened(url, {}, Class)
    const closed = once(await sockets.next(), 'close')
    if (asInWs) {
      expect(() => socket.close(1006)).toThrow(
        new TypeError('First argument must be a valid error code number'),
      )
      expect(() => socket.close(1001, 'x'.repeat(124))).toThrow(RangeError)
      socket.close(1001, 'going')
      expect(await closed).toEqual([1001, Buffer.from('going')])
    } else {
      expect(() => socket.close(1001)).toThrow(expect.objectContaining({ name: 'InvalidAccessError' }))
      socket.close(3001)
      expect((await closed)[0]).toBe(3001)
    }
  })

  test('what is too early, and told of its error it is not yet closed', async () => {
    const socket = connect('ws://127.0.0.1:1', { lookup: () => {} }, Class)
    const name = asInWs ? 'Error' : 'InvalidStateError'
    for (const early of [() => socket.send('x'), () => socket.ping()])
      expect(early).toThrow(
        expect.objectContaining({ name, message: 'WebSocket is not open: readyState 0 (CONNECTING)' }),
      )
    socket.close()
    const states = await new Promise((resolve) =>
      socket.on('error', () => {
        socket.ping('hi')
        resolve([socket.readyState, socket.bufferedAmount])
      }),
    )
    expect(states).toEqual([asInWs ? 2 : 3, 2])
    if (asInWs)
      expect(() => new Class('ws://localhost', null as never)).toThrow('invalid or duplicated subprotocol')
  })
})
