import { describe, expect, test } from 'vitest'
import { connectPeer, next, type Peer, peerKinds } from '../support/peers.ts'
import { closeOf, type Serving, serve } from '../support/serving.ts'

/** A server and a client of every kind. */
async function crowd(): Promise<{ serving: Serving; peers: Peer[] }> {
  const serving = await serve()
  const peers: Peer[] = []
  for (const kind of peerKinds) peers.push(await connectPeer(serving, kind))
  return { serving, peers }
}

test('a publication reaches all who subscribed, once, whatever carries them', async () => {
  const { serving, peers } = await crowd()
  for (const { socket } of peers) {
    socket.subscribe('news')
    socket.subscribe('news')
    expect(socket.isSubscribed('news')).toBe(true)
    expect(socket.isSubscribed('olds')).toBe(false)
  }
  const sent = [
    'text',
    Buffer.from([1, 2, 3]),
    '',
    Buffer.alloc(0),
    '\0',
    '\0\0x',
    '\0aNothing',
    'ä€😀',
  ] as const
  for (const one of sent) expect(serving.realtime.publish('news', one)).toBe(peers.length)
  expect(serving.realtime.publish('news', Buffer.from('as text'), { binary: false })).toBe(peers.length)
  expect(serving.realtime.publish('news', Uint8Array.of(7), {})).toBe(peers.length)
  for (const peer of peers) {
    for (const one of sent) expect(await next(peer)).toEqual(one)
    expect(await next(peer)).toBe('as text')
    expect(await next(peer)).toEqual(Buffer.from([7]))
    expect(peer.arrived.size).toBe(0)
  }
})

test('a client that publishes is left out', async () => {
  const { serving, peers } = await crowd()
  for (const { socket } of peers) socket.subscribe('news')
  for (const [i, { socket }] of peers.entries())
    expect(socket.publish('news', `from ${i}`)).toBe(peers.length - 1)
  serving.realtime.publish('news', 'end')
  for (const [i, peer] of peers.entries()) {
    const heard: unknown[] = []
    for (let one = await next(peer); one !== 'end'; one = await next(peer)) heard.push(one)
    expect(heard).toEqual(peers.flatMap((_, j) => (i === j ? [] : [`from ${j}`])))
  }
})

test('one who has not subscribed may publish', async () => {
  const { peers } = await crowd()
  const [reader, writer] = peers as [Peer, Peer]
  reader.socket.subscribe('news')
  expect(writer.socket.publish('news', 'x')).toBe(1)
  expect(writer.socket.publish('nobody', 'x')).toBe(0)
  expect(await next(reader)).toBe('x')
})

test('publications and messages keep their order, also behind a Blob', async () => {
  const { serving, peers } = await crowd()
  for (const { socket } of peers) {
    socket.subscribe('news')
    socket.send('1')
    socket.send(new Blob(['2']), { binary: false })
  }
  serving.realtime.publish('news', '3')
  for (const { socket } of peers) socket.send('4')
  for (const peer of peers) {
    expect([await next(peer), await next(peer), await next(peer), await next(peer)]).toEqual([
      '1',
      '2',
      '3',
      '4',
    ])
  }
})

test('what is changed after it was published was published as it was', async () => {
  const { serving, peers } = await crowd()
  for (const { socket } of peers) socket.subscribe('news')
  const bytes = Buffer.from('before')
  serving.realtime.publish('news', bytes)
  bytes.fill('x')
  for (const peer of peers) expect(String(await next(peer))).toBe('before')
})

test('what cannot be published', async () => {
  const serving = await serve()
  const { realtime } = serving
  const { socket } = await connectPeer(serving, 'plain')
  socket.subscribe('news')
  expect(() => realtime.publish('news', new Blob(['x']))).toThrow(TypeError)
  expect(() => realtime.publish('news', {} as unknown as string)).toThrow(TypeError)
  expect(realtime.publish('olds', 'x')).toBe(0)
})

test('servers have topics of their own', async () => {
  const one = await crowd()
  const other = await serve()
  for (const { socket } of one.peers) socket.subscribe('news')
  expect(other.realtime.publish('news', 'x')).toBe(0)
})

describe.each(peerKinds)('%s', (kind) => {
  test('unsubscribe', async () => {
    const serving = await serve()
    const peer = await connectPeer(serving, kind)
    peer.socket.subscribe('a')
    peer.socket.subscribe('b')
    peer.socket.unsubscribe('a')
    peer.socket.unsubscribe('never')
    expect([peer.socket.isSubscribed('a'), peer.socket.isSubscribed('b')]).toEqual([false, true])
    expect([serving.realtime.publish('a', 'a'), serving.realtime.publish('b', 'b')]).toEqual([0, 1])
    expect(await next(peer)).toBe('b')
  })

  test.each(['the client closes', 'the server closes', 'the server terminates'])(
    '%s: no longer counted',
    async (how) => {
      const serving = await serve()
      const [peer, stays] = [await connectPeer(serving, kind), await connectPeer(serving, kind)]
      for (const { socket } of [peer, stays]) socket.subscribe('news')
      const ended = closeOf(peer.socket)
      // Already when the application hears of it, so that it can publish who has left.
      const counted = new Promise<number>((resolve) => {
        peer.socket.once('close', () => resolve(serving.realtime.publish('news', 'left')))
      })
      if (how === 'the client closes') peer.close(1000)
      else if (how === 'the server closes') peer.socket.close(1000)
      else peer.socket.terminate()
      await ended
      expect(await counted).toBe(1)
      expect(peer.socket.isSubscribed('news')).toBe(false)
      expect(await next(stays)).toBe('left')
    },
  )

  test('a client that is closing is neither reached nor counted', async () => {
    const serving = await serve()
    const peer = await connectPeer(serving, kind)
    peer.socket.subscribe('news')
    const ended = closeOf(peer.socket)
    peer.socket.close(1000)
    expect(serving.realtime.publish('news', 'x')).toBe(0)
    await ended
    expect(await next(peer)).toEqual({ code: 1000, reason: '' })
  })
})
