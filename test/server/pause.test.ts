// A socket whose application has paused hears nothing, a close no more than a message: whoever carries it, and from the first moment.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { createWebSocketStream, type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { connectPeer, next } from '../support/peers.ts'
import { ask, closed, plain } from '../support/plain-client.ts'
import { type Answer, close, RawClient, text } from '../support/raw-client.ts'
import { closeOf, end, messagesOf, type Serving, serve, watch } from '../support/serving.ts'

/** Pauses its first client where it is shown; the others are echoed. */
function pauseFirst(serving: Pick<Serving, 'realtime'>): void {
  let first = true
  serving.realtime.on('connection', (socket) => {
    if (first) socket.pause()
    else socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    first = false
  })
}

async function servePaused(options: ServerOptions = {}): Promise<Serving> {
  const serving = await serve(options)
  pauseFirst(serving)
  return serving
}

/** The server has read by then what was sent to it before. */
async function turns(url: string): Promise<void> {
  const other = await plain(url)
  for (let i = 0; i < 3; i++) await ask(other, 'and now?')
}

describe.each(['plain', 'websocket'] as const)('over a WebSocket: %s', (kind) => {
  test('paused where it is shown: messages and the close wait, and the close is not answered', async () => {
    const serving = await servePaused()
    const peer = await connectPeer(serving, kind)
    const messages = messagesOf(peer.socket)
    const ended = closeOf(peer.socket)
    peer.send('one')
    peer.close(4000, 'bye')
    await turns(serving.url)
    expect([messages.size, peer.socket.readyState, peer.arrived.size]).toEqual([0, 1, 0])
    peer.socket.send('still speaking')
    expect(await next(peer)).toBe('still speaking')
    peer.socket.resume()
    expect(await messages.next()).toBe('one')
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    expect(await next(peer)).toEqual({ code: 4000, reason: 'bye' })
  })

  test('the same behind a mount, where the handshake came as a request', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const server = createServer((request, response) => realtime.middleware(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const serving = { realtime, port, url: `http://127.0.0.1:${port}/realtime`, connections: watch(realtime) }
    pauseFirst(serving)
    const peer = await connectPeer(serving, kind)
    const messages = messagesOf(peer.socket)
    peer.send('one')
    await turns(serving.url)
    expect(messages.size).toBe(0)
    peer.socket.resume()
    expect(await messages.next()).toBe('one')
  })
})

test('a session: paused by the message before the close, it answers when it goes on', async () => {
  const serving = await servePaused()
  const peer = await connectPeer(serving, 'websocket')
  const { socket } = peer
  const ended = closeOf(socket)
  socket.on('message', () => socket.pause())
  socket.resume()
  peer.send('one')
  peer.close(4000, 'bye')
  await once(socket, 'message')
  await turns(serving.url)
  expect([socket.readyState, peer.arrived.size]).toEqual([1, 0])
  socket.resume()
  expect(await ended).toEqual({ code: 4000, reason: 'bye' })
  expect(await next(peer)).toEqual({ code: 4000, reason: 'bye' })
})

const pauses = ({ records }: Answer): unknown[] =>
  records.map(({ kind, payload }) => (kind === 'pause' ? Number(Buffer.from(payload).toString()) : kind))

test('over HTTP: the close is not taken until it goes on', async () => {
  const { url, connections } = await servePaused()
  const client = new RawClient(url)
  await client.open([], { ask: Ask.open })
  const { socket } = await connections.next()
  const messages = messagesOf(socket)
  const ended = closeOf(socket)
  const refused = await client.send([text('one'), close(4000, 'bye')])
  expect(pauses(refused)).toEqual([1])
  expect([client.at.number, messages.size, socket.readyState]).toEqual([1, 0, 1])
  const held = client.poll()
  expect(pauses(await client.send([close(4000, 'bye')]))).toEqual([1])
  socket.resume()
  expect(pauses(await held)).toEqual([0])
  expect(await messages.next()).toBe('one')
  const taken = await client.send([close(4000, 'bye')])
  expect(await ended).toEqual({ code: 4000, reason: 'bye' })
  expect(taken.records).toMatchObject([{ kind: 'close' }])
})

describe.each(['websocket', 'polling'] as const)('a stream that is read slowly, over %s', (kind) => {
  test('the client waits until what is here has been read: no more than 2 MiB wait, however often it is read', async () => {
    const { realtime, url, connections } = await serve()
    const client = new RawClient(url)
    const message = 'x'.repeat(kind === 'websocket' ? 100 : 60_000)
    if (kind === 'polling') await client.open()
    else {
      const { socket } = await client.openWebSocket()
      for (let i = 0; i < 100_000; i++) socket.send(message)
    }
    const { socket } = await connections.next()
    const stream = createWebSocketStream(socket, { readableHighWaterMark: 1000 })
    const other = await plain(url)
    const { socket: echo } = await connections.next()
    echo.on('message', (data) => echo.send(data))
    let [read, most, waits] = [0, 0, 0]
    for (let cycle = 0; cycle < 100; cycle++) {
      if (kind === 'polling') {
        const answer = await client.send(Array.from({ length: 10 }, () => text(message)))
        waits += Number(pauses(answer).includes(1))
      }
      await ask(other, 'and now?')
      most = Math.max(most, realtime.memory)
      // Newer versions of Node give one message at a time.
      for (let got = 0; got < 1000; ) {
        const { length } = (stream.read() as Buffer | null) ?? ''
        if (length === 0) break
        got += length
        read += length
      }
    }
    expect(read).toBeGreaterThan(100 * 900)
    expect(most).toBeLessThan(2 * 1024 * 1024)
    expect([socket.readyState, waits > 50]).toEqual([1, kind === 'polling'])
  })
})

describe('closed while messages wait', () => {
  const all = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(100, '.'))

  test('what had come before is told, and nothing that comes after', async () => {
    const { url, connections } = await servePaused()
    const client = new RawClient(url)
    await client.open()
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    const ended = closeOf(socket)
    await client.send([text('one'), text('two')])
    expect([client.at.number, messages.size]).toEqual([2, 0])
    socket.close(4000, 'enough')
    await client.send([text('three')])
    expect([client.at.number, client.received]).toEqual([3, [{ code: 4000, reason: 'enough' }]])
    socket.resume()
    expect([await messages.next(), await messages.next()]).toEqual(['one', 'two'])
    await client.send([close(4000, 'enough')])
    expect(await ended).toEqual({ code: 4000, reason: 'enough' })
    expect(messages.size).toBe(0)
  })

  test('also by the listener of the first of several that came together', async () => {
    const { url, connections } = await serve()
    const client = new RawClient(url)
    await client.open()
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    socket.once('message', () => socket.close())
    await client.send([text('one'), text('two')])
    await client.send([text('three')])
    expect([await messages.next(), await messages.next(), messages.size]).toEqual(['one', 'two', 0])
  })

  test('behind a stream over HTTP: all are read after end()', async () => {
    const { url, connections } = await serve()
    const client = new RawClient(url)
    await client.open()
    const { socket } = await connections.next()
    const stream = createWebSocketStream(socket, { readableHighWaterMark: 500 })
    await client.send(all.map((message) => text(message)))
    expect([client.at.number, socket.isPaused]).toEqual([all.length, true])
    stream.end()
    // Its answer brings the close, and the next one acknowledges that.
    await client.send()
    await client.send([close()])
    expect(await readAll(stream)).toBe(all.join(''))
  })

  test.each(['plain', 'websocket'] as const)('the same over a WebSocket: %s', async (kind) => {
    const serving = await servePaused()
    const peer = await connectPeer(serving, kind)
    const stream = createWebSocketStream(peer.socket, { readableHighWaterMark: 500 })
    stream.read()
    peer.send(...all)
    await turns(serving.url)
    expect(peer.socket.isPaused).toBe(true)
    stream.end()
    expect(await readAll(stream)).toBe(all.join(''))
  })
})

async function readAll(stream: Duplex): Promise<string> {
  let read = ''
  for await (const chunk of stream) read += chunk
  return read
}

test('what is over is told although the application has paused', async () => {
  const { realtime, url, connections } = await servePaused({ patience: 100 })
  const client = new RawClient(url)
  await client.open([], { ask: Ask.open })
  const { socket } = await connections.next()
  const messages = messagesOf(socket)
  const ended = closeOf(socket)
  await client.send([text('one')])
  const stream = await client.stream()
  await stream.cut()
  expect(await ended).toEqual({ code: 1006, reason: 'connection lost' })
  expect([await messages.next(), realtime.clients.size]).toEqual(['one', 0])
})

describe.each(['websocket', 'stream', 'sse', 'polling'] as const)('our client over %s', (transport) => {
  test('its close is heard behind its messages when the application goes on', async () => {
    const { url, connections } = await servePaused()
    const client = new WebSocket(url, { transports: [transport] })
    onTestFinished(() => client.close())
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    const ended = closeOf(socket)
    await once(client, 'open')
    const over = closed(client as never)
    client.send('one')
    client.close(4000, 'bye')
    await turns(url)
    expect([messages.size, socket.readyState, client.readyState]).toEqual([0, 1, 2])
    socket.resume()
    expect(await messages.next()).toBe('one')
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    expect(await over).toEqual({ code: 4000, reason: 'bye' })
  })
})
