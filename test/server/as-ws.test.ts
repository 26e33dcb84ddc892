// What code that was written for `ws` may rely on, whatever carries its clients.
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { ServerOptions, Socket } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { closed, plain } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { RawClient } from '../support/raw-client.ts'
import { ownServerClock } from '../support/server-clock.ts'
import { closeOf, messagesOf, type Serving, serve } from '../support/serving.ts'

/** Looks at each client where it is shown. */
async function serveAndLook(look: (socket: Socket) => void, options: ServerOptions = {}): Promise<Serving> {
  const serving = await serve(options)
  serving.realtime.on('connection', look)
  return serving
}

describe.each(peerKinds)('%s', (kind) => {
  test('bufferedAmount counts what the application sends, not the goodbye', async () => {
    const amounts: number[] = []
    const serving = await serveAndLook((socket) => {
      amounts.push(socket.bufferedAmount)
      socket.ping('are you there?')
      socket.close(4000, 'bye')
      amounts.push(socket.bufferedAmount)
      socket.send('late')
      amounts.push(socket.bufferedAmount)
    })
    const peer = await connectPeer(serving, kind)
    expect(await next(peer)).toEqual({ code: 4000, reason: 'bye' })
    expect(amounts).toEqual([0, 0, 4])
  })

  test('bufferedAmount counts a message until it has gone', async () => {
    const amounts: number[] = []
    const gone = new Queue<void>()
    const serving = await serveAndLook((socket) => {
      socket.send('x'.repeat(1000), () => gone.push())
      amounts.push(socket.bufferedAmount)
    })
    const { socket } = await connectPeer(serving, kind)
    await gone.next()
    expect(amounts[0]).toBeGreaterThanOrEqual(1000)
    expect(socket.bufferedAmount).toBe(0)
  })

  test('pieces of a message arrive as one, of the kind of the first', async () => {
    const peer = await connectPeer(await serve(), kind)
    const { socket } = peer
    const called: unknown[] = []
    await new Promise<void>((resolve) => socket.send('be', { fin: false }, () => resolve()))
    socket.send(Buffer.from('gin'), { fin: false }, (error) => called.push(error))
    await new Promise<void>((resolve) => socket.send('ning', () => resolve()))
    socket.send(Buffer.from([1]), { fin: false })
    socket.send(new Blob(['2']), { fin: false })
    socket.send('3', { fin: true })
    socket.send('whole')
    expect(await next(peer)).toBe('beginning')
    expect(called).toEqual([undefined])
    expect(await next(peer)).toEqual(Buffer.from('\x0123'))
    expect(await next(peer)).toBe('whole')
  })

  test('a piece that comes too late is told so', async () => {
    const peer = await connectPeer(await serve(), kind)
    peer.socket.send('be', { fin: false })
    peer.socket.close()
    const error = await new Promise((resolve) => peer.socket.send('gin', { fin: false }, resolve))
    expect(String(error)).toContain('not open')
    expect(await next(peer)).toEqual({ code: 1005, reason: '' })
  })

  test('autoPong: false leaves the answer to the application', async () => {
    const peer = await connectPeer(await serve({ autoPong: false }), kind)
    peer.socket.on('ping', (data) => peer.socket.pong(`my own to ${data}`))
    peer.ping('you')
    expect(await peer.pongs.next()).toBe('my own to you')
    peer.ping('and you')
    expect(await peer.pongs.next()).toBe('my own to and you')
  })
})

describe('permessage-deflate', () => {
  test('what is called done has been written', async () => {
    const { url, connections } = await serve({ perMessageDeflate: { threshold: 0 } })
    const client = await plain(url)
    const messages = new Queue<string>()
    client.on('message', (data) => messages.push(String(data)))
    const over = closed(client)
    const { socket } = await connections.next()
    const called: string[] = []
    for (const one of ['one', 'two', 'three']) socket.send(one, () => called.push(one))
    await new Promise((resolve) => socket.send('four', resolve))
    socket.terminate()
    expect(called).toEqual(['one', 'two', 'three'])
    expect((await over).code).toBe(1006)
    for (const one of ['one', 'two', 'three', 'four']) expect(await messages.next()).toBe(one)
  })

  test('compress: false leaves a message as it is', async () => {
    const { url, connections } = await serve({ perMessageDeflate: { threshold: 0 } })
    const sizes: number[] = []
    const client = await plain(url)
    const { socket, request } = await connections.next()
    const written = (): number => request.socket.bytesWritten
    for (const compress of [false, true, undefined]) {
      const from = written()
      const come = once(client, 'message')
      await new Promise((resolve) => socket.send('x'.repeat(1000), { compress }, resolve))
      expect(String((await come)[0])).toHaveLength(1000)
      sizes.push(written() - from)
    }
    expect(sizes[0]).toBe(1004)
    expect(Math.max(...sizes.slice(1))).toBeLessThan(100)
  })
})

describe('closeTimeout: a goodbye that nobody answers', () => {
  const silent: [string, (url: string) => Promise<unknown>][] = [
    ['an ordinary client', async (url) => (await plain(url)).pause()],
    ['a session on a WebSocket', (url) => new RawClient(url).openWebSocket()],
    ['a session on HTTP', (url) => new RawClient(url).open([], { ask: Ask.open })],
  ]
  test.each(silent)('%s', async (_what, connect) => {
    const { realtime, url, connections } = await serve({ closeTimeout: 100 })
    await connect(url)
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    const begun = performance.now()
    socket.close(4000, 'bye')
    expect(socket.readyState).toBe(2)
    expect(await closeOf(socket)).toEqual({ code: 1006, reason: '' })
    expect(performance.now() - begun).toBeGreaterThan(95)
    expect([realtime.clients.size, socket.readyState, messages.size]).toEqual([0, 3, 0])
  })

  test('one that is answered has nothing to fear', async () => {
    const moveOn = ownServerClock()
    const serving = await serve({ closeTimeout: 30_000, heartbeat: 600_000, patience: 600_000 })
    const peer = await connectPeer(serving, 'stream')
    const ended = closeOf(peer.socket)
    peer.socket.close(4000, 'bye')
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    peer.socket.on('close', () => expect.unreachable('it has closed'))
    const other = await connectPeer(serving, 'websocket')
    const over = closeOf(other.socket)
    other.socket.pause()
    other.socket.close()
    // The first one's would be due before.
    await moveOn(31_000)
    expect((await over).code).toBe(1006)
  })

  test('without it a session has as long as its patience', async () => {
    const { url, connections } = await serve({ patience: 100 })
    await new RawClient(url).openWebSocket()
    const { socket } = await connections.next()
    socket.close(4000, 'bye')
    expect(await closeOf(socket)).toEqual({ code: 1006, reason: 'connection lost' })
  })
})
