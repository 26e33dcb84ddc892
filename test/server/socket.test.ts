// The sockets that an application gets are those of `ws`, and the same whatever carries them.
import { once } from 'node:events'
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type SendData, Socket, type SocketListenerEvent } from '../../server/index.ts'
import { uncaught } from '../support/faults.ts'
import { connectPeer, next, type Peer, peerKinds } from '../support/peers.ts'
import { closeOf, messagesOf, serve } from '../support/serving.ts'

describe.each(peerKinds)('%s', (kind) => {
  const connect = async (options = {}): Promise<Peer> => connectPeer(await serve(options), kind)

  test('what it is', async () => {
    const { socket } = await connect()
    expect(socket.transport).toBe(kind === 'plain' ? 'websocket' : kind)
    expect(socket.id).toMatch(/^[\w-]{16}$/)
    expect([socket.readyState, socket.protocol, socket.extensions, socket.url]).toEqual([1, '', '', ''])
    expect([socket.bufferedAmount, socket.isPaused, socket.binaryType]).toEqual([0, false, 'nodebuffer'])
    expect([Socket.CONNECTING, Socket.OPEN, Socket.CLOSING, Socket.CLOSED]).toEqual([0, 1, 2, 3])
    expect([Socket.prototype.CONNECTING, Socket.prototype.CLOSED]).toEqual([0, 3])
    expect([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED]).toEqual([0, 1, 2, 3])
  })

  test('bytes that are no UTF-8, sent as text: replaced, and what follows comes', async () => {
    const serving = await serve()
    const peer = await connectPeer(serving, kind)
    peer.socket.subscribe('room')
    const bytes = Buffer.from([0x61, 0xff, 0xfe, 0xc3, 0xa4])
    peer.socket.send(bytes, { binary: false })
    peer.socket.send(new Blob([bytes]), { binary: false })
    expect([await next(peer), await next(peer)]).toEqual(['a\ufffd\ufffdä', 'a\ufffd\ufffdä'])
    serving.realtime.publish('room', bytes, { binary: false })
    peer.socket.send(bytes)
    expect(await next(peer)).toBe('a\ufffd\ufffdä')
    expect(await next(peer)).toEqual(bytes)
  })

  test('a Blob that cannot be read: an error, and the end', async () => {
    const peer = await connect()
    const folder = mkdtempSync(join(tmpdir(), 'everwire-blob-'))
    const file = join(folder, 'blob')
    writeFileSync(file, 'x'.repeat(64))
    const blob = await openAsBlob(file)
    writeFileSync(file, 'x'.repeat(32))
    const failed = once(peer.socket, 'error')
    const ended = closeOf(peer.socket)
    const called = new Promise((resolve) => peer.socket.send(blob, resolve))
    expect((await failed)[0]).toMatchObject({ name: 'NotReadableError' })
    expect(await called).toMatchObject({ name: 'NotReadableError' })
    expect(await ended).toMatchObject({ code: 1006 })
    rmSync(folder, { recursive: true })
  })

  test('what is sent behind a Blob that cannot be read comes too late, and its callbacks are called', async () => {
    const peer = await connect()
    const unreadable = new Blob(['x'])
    unreadable.arrayBuffer = () => Promise.reject(new Error('gone'))
    const sent = (data: SendData): Promise<string | undefined> =>
      new Promise((resolve) => peer.socket.send(data, (error) => resolve(error?.message)))
    const ended = closeOf(peer.socket)
    const behind = [sent(unreadable), sent('one'), sent(new Blob(['two'])), sent('three')]
    const late = /^(gone|WebSocket is not open: readyState [23] .*)$/
    for (const message of await Promise.all(behind)) expect(message).toMatch(late)
    expect(await ended).toMatchObject({ code: 1006 })
    expect(await sent('four')).toMatch(late)
  })

  test('messages: Buffer and whether it is binary', async () => {
    const peer = await connect()
    const heard: [unknown, boolean][] = []
    peer.socket.on('message', (data, isBinary) => heard.push([data, isBinary]))
    const all = messagesOf(peer.socket)
    peer.send('text', Buffer.from([0, 1, 255]), '', Buffer.alloc(0), '\0', '\0\0x', 'ä€😀')
    for (let i = 0; i < 7; i++) await all.next()
    expect(heard).toEqual([
      [Buffer.from('text'), false],
      [Buffer.from([0, 1, 255]), true],
      [Buffer.from(''), false],
      [Buffer.alloc(0), true],
      [Buffer.from('\0'), false],
      [Buffer.from('\0\0x'), false],
      [Buffer.from('ä€😀'), false],
    ])
    for (const [data] of heard) expect(Buffer.isBuffer(data)).toBe(true)
  })

  test('binaryType', async () => {
    const peer = await connect()
    const bytes = Buffer.from([1, 2, 3])
    const heard = async (): Promise<unknown> => {
      const message = once(peer.socket, 'message')
      peer.send(bytes)
      return (await message)[0]
    }
    peer.socket.binaryType = 'arraybuffer'
    const arrayBuffer = (await heard()) as ArrayBuffer
    expect(arrayBuffer).toBeInstanceOf(ArrayBuffer)
    expect(Buffer.from(arrayBuffer)).toEqual(bytes)
    peer.socket.binaryType = 'fragments'
    expect(await heard()).toEqual([bytes])
    peer.socket.binaryType = 'blob'
    const blob = (await heard()) as Blob
    expect(blob).toBeInstanceOf(Blob)
    expect(Buffer.from(await blob.arrayBuffer())).toEqual(bytes)
    peer.socket.binaryType = 'nodebuffer'
    expect(await heard()).toEqual(bytes)
  })

  test('all that can be sent', async () => {
    const peer = await connect()
    const bytes = Buffer.from([9, 1, 2, 3, 9])
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset + 1, 3)
    const shared = new SharedArrayBuffer(3)
    new Uint8Array(shared).set([1, 2, 3])
    const sent: [SendData, string | Buffer][] = [
      ['text', 'text'],
      ['', ''],
      ['\0', '\0'],
      ['\0\0a', '\0\0a'],
      ['a lone surrogate: \ud800', 'a lone surrogate: \ufffd'],
      [7, '7'],
      [bytes, bytes],
      [view, Buffer.from([1, 2, 3])],
      [new DataView(view.buffer, view.byteOffset, 2), Buffer.from([1, 2])],
      [Uint16Array.of(0x0201, 0x0403), Buffer.from([1, 2, 3, 4])],
      [Uint8Array.of(1, 2).buffer, Buffer.from([1, 2])],
      [shared, Buffer.from([1, 2, 3])],
      [new Blob(['blob']), Buffer.from('blob')],
      ['behind the blob', 'behind the blob'],
      [[Buffer.from('a'), Buffer.from('b')], Buffer.from('ab')],
      [Buffer.alloc(0), Buffer.alloc(0)],
    ]
    for (const [data] of sent) peer.socket.send(data)
    for (const [, expected] of sent) expect(await next(peer)).toEqual(expected)
    peer.socket.send('as binary', { binary: true })
    peer.socket.send(Buffer.from('as text'), { binary: false, compress: true, fin: true })
    peer.socket.send(new Blob(['blob as text']), { binary: false })
    expect([await next(peer), await next(peer), await next(peer)]).toEqual([
      Buffer.from('as binary'),
      'as text',
      'blob as text',
    ])
    expect(() => peer.socket.send({} as unknown as string)).toThrow(TypeError)
    expect(() => peer.socket.send(Symbol('x') as unknown as string)).toThrow(TypeError)
  })

  test('what a message’s handler sends reaches a client whose goodbye came right behind', async () => {
    const peer = await connect()
    peer.socket.on('message', (data) => peer.socket.send(data, { binary: false }))
    peer.send('last words')
    peer.close(4000)
    expect(await next(peer)).toBe('last words')
  })

  test('what is changed after it was sent was sent as it was', async () => {
    const peer = await connect()
    const bytes = Buffer.from('before')
    peer.socket.send(bytes)
    bytes.fill('x')
    expect(await next(peer)).toEqual(Buffer.from('before'))
  })

  test('callbacks of send come once it is written, in order', async () => {
    const peer = await connect()
    const called: unknown[] = []
    await new Promise<void>((resolve) => {
      peer.socket.send('one', (error) => called.push(['one', error ?? null]))
      peer.socket.send(new Blob(['two']), (error) => called.push(['two', error ?? null]))
      peer.socket.send('three', {}, (error) => {
        called.push(['three', error ?? null])
        resolve()
      })
      expect(called).toEqual([])
    })
    expect(called).toEqual([
      ['one', null],
      ['two', null],
      ['three', null],
    ])
  })

  test('a callback of send that throws when its client ends: the others are called, and the end comes', async () => {
    const serving = await serve()
    const { socket } = await connectPeer(serving, kind)
    const fault = uncaught()
    let closes = 0
    socket.on('close', () => closes++)
    const others = new Promise<void>((resolve) => {
      socket.send('one', () => {
        throw new Error('a fault of the application')
      })
      socket.send('two', () => resolve())
    })
    const ended = closeOf(socket)
    socket.terminate()
    expect((await fault).message).toBe('a fault of the application')
    await others
    await ended
    expect([closes, serving.realtime.clients.size]).toEqual([1, 0])
    await new Promise<void>((resolve) => serving.realtime.close(() => resolve()))
  })

  test('a message in pieces of any size', async () => {
    const peer = await connect()
    const messages = messagesOf(peer.socket)
    const large = Buffer.alloc(700_000, 'everwire ')
    peer.send(large)
    expect(large.equals((await messages.next()) as Buffer)).toBe(true)
    peer.socket.send(large)
    peer.socket.send(large.toString())
    expect(large.equals((await next(peer)) as Buffer)).toBe(true)
    expect(await next(peer)).toBe(large.toString())
  })

  test('many messages, both ways, in order', async () => {
    const peer = await connect()
    const messages = messagesOf(peer.socket)
    const all = Array.from({ length: 500 }, (_, i) => `message ${i}`)
    peer.send(...all)
    for (const one of all) peer.socket.send(one)
    for (const one of all) expect(await next(peer)).toBe(one)
    for (const one of all) expect(await messages.next()).toBe(one)
  })

  test('pings and pongs, both ways', async () => {
    const peer = await connect()
    const ping = once(peer.socket, 'ping')
    peer.ping('from the client')
    expect(String((await ping)[0])).toBe('from the client')
    expect(await peer.pongs.next()).toBe('from the client')
    const pong = once(peer.socket, 'pong')
    await new Promise((resolve) => peer.socket.ping('from the server', undefined, resolve))
    expect(await peer.pings.next()).toBe('from the server')
    expect(String((await pong)[0])).toBe('from the server')
    const empty = once(peer.socket, 'pong')
    await new Promise<void>((resolve) => peer.socket.ping(() => resolve()))
    expect((await empty)[0]).toEqual(Buffer.alloc(0))
    peer.socket.pong('unasked')
    expect(await peer.pongs.next()).toBe('unasked')
    expect(() => peer.socket.ping('x'.repeat(126))).toThrow(RangeError)
    expect(() => peer.socket.pong(Buffer.alloc(126))).toThrow(RangeError)
  })

  const codes: [number | undefined, string][] = [
    [1000, ''],
    [1000, 'done'],
    [1001, 'going'],
    [1011, 'ouch'],
    [3000, 'library'],
    [4999, 'application'],
    [4000, 'x'.repeat(123)],
    [4001, 'Привет, как дела? '.repeat(3)],
    [4002, '終わり'.repeat(13)],
    [4003, '😀'.repeat(30)],
    [undefined, ''],
  ]
  test.each(codes)('close by the server: %s %s', async (code, reason) => {
    const peer = await connect()
    const ended = closeOf(peer.socket)
    peer.socket.send('last words')
    if (code === undefined) peer.socket.close()
    else peer.socket.close(code, reason)
    expect(peer.socket.readyState).toBe(2)
    peer.socket.close(4444, 'a second close counts for nothing')
    expect(await next(peer)).toBe('last words')
    expect(await next(peer)).toEqual({ code: code ?? 1005, reason })
    expect(await ended).toEqual({ code: code ?? 1005, reason })
    expect(peer.socket.readyState).toBe(3)
    expect(peer.socket.transport).toBe(null)
  })

  test.each(codes.filter(([code]) => code !== 1011 && code !== 1001))(
    'close by the client: %s %s',
    async (code, reason) => {
      const peer = await connect()
      const messages = messagesOf(peer.socket)
      const ended = closeOf(peer.socket)
      peer.send('last words')
      peer.close(code, code === undefined ? undefined : reason)
      expect(await ended).toEqual({ code: code ?? 1005, reason })
      expect(messages.size).toBe(1)
      expect(peer.socket.readyState).toBe(3)
      expect(await next(peer)).toEqual({ code: code ?? 1005, reason })
    },
  )

  test('a reason may be a Buffer', async () => {
    const peer = await connect()
    peer.socket.close(4000, Buffer.from('bytes'))
    expect(await next(peer)).toEqual({ code: 4000, reason: 'bytes' })
  })

  test('both close at once', async () => {
    const peer = await connect()
    const ended = closeOf(peer.socket)
    peer.socket.close(4001, 'server')
    peer.close(4002, 'client')
    expect((await ended).code).toBe(4002)
  })

  test('a close that must not be', async () => {
    const { socket } = await connect()
    for (const code of [
      0,
      999,
      1004,
      1005,
      1006,
      1015,
      2000,
      2999,
      5000,
      1000.5,
      Number.NaN,
      -1,
      '1000' as unknown as number,
    ]) {
      expect(() => socket.close(code)).toThrow(TypeError)
    }
    expect(() => socket.close(1000, 'x'.repeat(124))).toThrow(RangeError)
    expect(() => socket.close(1000, '😀'.repeat(31))).toThrow(RangeError)
    expect(socket.readyState).toBe(1)
  })

  test('terminate: 1006, and nothing more', async () => {
    const peer = await connect()
    const messages = messagesOf(peer.socket)
    const ended = closeOf(peer.socket)
    peer.socket.terminate()
    let told = false
    peer.socket.on('close', () => {
      told = true
    })
    expect(told).toBe(false)
    expect(await ended).toEqual({ code: 1006, reason: '' })
    expect((await next(peer)) as object).toMatchObject({ code: 1006 })
    expect(messages.size).toBe(0)
    peer.socket.terminate()
    expect(peer.socket.readyState).toBe(3)
  })

  test('after its end it takes everything and does nothing', async () => {
    const peer = await connect()
    const ended = closeOf(peer.socket)
    peer.close(1000)
    await ended
    const { socket } = peer
    const error = await new Promise((resolve) => socket.send('too late', resolve))
    expect(String(error)).toMatch(/not open/)
    const later = await new Promise((resolve) => socket.send(new Blob(['too late']), resolve))
    expect(String(later)).toMatch(/not open/)
    socket.send('too late')
    const pinged = await new Promise((resolve) => socket.ping('', undefined, resolve))
    expect(String(pinged)).toMatch(/not open/)
    socket.pong()
    socket.close()
    socket.terminate()
    socket.pause()
    socket.resume()
    socket.subscribe('news')
    expect(socket.isSubscribed('news')).toBe(false)
    expect(socket.publish('news', 'x')).toBe(0)
    // As the standard says, what is sent too late only counts.
    expect(socket.bufferedAmount).toBe(3 * 'too late'.length)
  })

  test('paused, it hears nothing; resumed, everything', async () => {
    const peer = await connect()
    const messages = messagesOf(peer.socket)
    peer.socket.pause()
    expect(peer.socket.isPaused).toBe(true)
    peer.send('one', 'two')
    // What it says itself still goes out, and so shows that the messages would have been here by now.
    peer.socket.send('still speaking')
    expect(await next(peer)).toBe('still speaking')
    expect(messages.size).toBe(0)
    peer.socket.resume()
    expect(peer.socket.isPaused).toBe(false)
    expect([await messages.next(), await messages.next()]).toEqual(['one', 'two'])
  })

  // A paused socket of `ws` goes on with what it has read.
  if (kind !== 'plain')
    test('resumed, it hears what had come only after the call', async () => {
      const peer = await connect()
      const heard: string[] = []
      const all = new Promise<void>((resolve) => {
        peer.socket.on('message', (data) => {
          if (heard.push(String(data)) === 1) peer.socket.pause()
          if (heard.length === 3) resolve()
        })
      })
      // All of it comes together.
      peer.send('one', 'two', 'three')
      peer.socket.send('still speaking')
      expect(await next(peer)).toBe('still speaking')
      if (heard.length === 0) await once(peer.socket, 'message')
      peer.socket.resume()
      // Who resumes may be in the middle of what came before.
      expect(heard).toEqual(['one'])
      await all
      expect(heard).toEqual(['one', 'two', 'three'])
    })

  test('paused, it does not hear a close behind what it has not heard', async () => {
    const peer = await connect()
    const messages = messagesOf(peer.socket)
    let closed = false
    const ended = closeOf(peer.socket).then((close) => {
      closed = true
      return close
    })
    peer.socket.pause()
    peer.send('one')
    peer.close(4000, 'bye')
    peer.socket.send('still speaking')
    await next(peer)
    expect([messages.size, closed]).toEqual([0, false])
    peer.socket.resume()
    expect(await messages.next()).toBe('one')
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
  })

  test("the browser's style", async () => {
    const peer = await connect()
    const { socket } = peer
    const events: SocketListenerEvent[] = []
    const keep = (event: SocketListenerEvent): void => void events.push(event)
    const object = { handleEvent: keep }
    socket.addEventListener('message', keep)
    socket.addEventListener('message', keep)
    socket.addEventListener('message', object, { once: true })
    const onmessage = (event: SocketListenerEvent): void => void events.push(event)
    socket.onmessage = () => expect.unreachable('it was replaced')
    socket.onmessage = onmessage
    expect(socket.onmessage).toBe(onmessage)
    const all = messagesOf(socket)
    peer.send('one')
    await all.next()
    expect(events.map(({ type, target, data }) => [type, target === socket, data])).toEqual(
      Array(3).fill(['message', true, 'one']),
    )
    events.length = 0
    socket.removeEventListener('message', keep)
    peer.send(Buffer.from('two'))
    await all.next()
    expect(events).toMatchObject([{ type: 'message', data: Buffer.from('two') }])
    socket.onmessage = null
    expect([socket.onmessage, socket.onopen, socket.onerror]).toEqual([null, null, null])
    socket.onclose = keep
    const ended = closeOf(socket)
    peer.close(4000, 'bye')
    await ended
    expect(events[1]).toMatchObject({ type: 'close', code: 4000, reason: 'bye', wasClean: true })
  })

  test('a client that is not read is given up with what it costs', async () => {
    const { socket } = await connect({ maxBuffered: 1_000_000 })
    const ended = closeOf(socket)
    // Without a turn of the event loop nothing can leave.
    for (let i = 0; i < 5; i++) socket.send(Buffer.alloc(100_000))
    expect(socket.bufferedAmount).toBeGreaterThanOrEqual(500_000)
    for (let i = 0; i < 60; i++) socket.send(Buffer.alloc(100_000))
    expect([1006, 1013]).toContain((await ended).code)
    expect(socket.readyState).toBe(3)
  })
})
