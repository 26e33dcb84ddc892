// What a server has at hand: data of a socket, its topics, subscribers, messages to all but some, and ending many at once.
import { IncomingMessage } from 'node:http'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type CloseEvent, WebSocket } from '../../client/node.ts'
import { Socket, WebSocketServer } from '../../server/index.ts'
import { WebSocketServer as OfWs, type WebSocket as OfWsWebSocket } from '../../ws/index.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { closeOf, serve } from '../support/serving.ts'

async function crowd() {
  const serving = await serve()
  const peers = []
  for (const kind of peerKinds) peers.push(await connectPeer(serving, kind))
  return { realtime: serving.realtime, peers, sockets: peers.map(({ socket }) => socket) }
}

describe.each(peerKinds)('%s', (kind) => {
  test('data is empty at first and can be replaced', async () => {
    const { socket } = await connectPeer(await serve(), kind)
    expect(socket.data).toEqual({})
    socket.data.user = 'ada'
    expect(socket.data).toEqual({ user: 'ada' })
    socket.data = { user: 'grace' }
    expect(socket.data.user).toBe('grace')
  })

  test('topics, also in close', async () => {
    const { realtime, ...serving } = await serve()
    const peer = await connectPeer({ realtime, ...serving }, kind)
    const { socket } = peer
    expect([...socket.topics]).toEqual([])
    for (const topic of ['a', 'b', 'c']) socket.subscribe(topic)
    socket.unsubscribe('b')
    expect([...socket.topics]).toEqual(['a', 'c'])
    const inClose = new Promise((resolve) => {
      socket.once('close', () => resolve([[...socket.topics], realtime.subscribers('a').size]))
    })
    peer.close(1000)
    expect(await inClose).toEqual([['a', 'c'], 0])
    expect([...socket.topics]).toEqual([])
  })

  test('disconnect: all of a topic, on every device, as soon as the client is there', async () => {
    const serving = await serve()
    serving.realtime.on('connection', (socket) => {
      socket.subscribe('user:ada')
      serving.realtime.disconnect('user:ada', 4001, 'Signed out')
    })
    const transports = [kind === 'plain' ? 'websocket' : kind]
    const client = new WebSocket(serving.url, [], { transports, session: kind !== 'plain' })
    const closed = new Promise<CloseEvent>((resolve) => client.addEventListener('close', resolve))
    const { socket } = await serving.connections.next()
    const ended = closeOf(socket)
    expect(await closed).toMatchObject({ code: 4001, reason: 'Signed out' })
    expect((await ended).code).toBe(4001)
    expect(serving.realtime.subscribers('user:ada').size).toBe(0)
  })
})

test('subscribers and their number', async () => {
  const { realtime, sockets } = await crowd()
  expect(realtime.subscribers('news').size).toBe(0)
  for (const socket of sockets) socket.subscribe('news')
  expect([...realtime.subscribers('news')]).toEqual(sockets)
  sockets[0]?.unsubscribe('news')
  expect(realtime.subscribers('news').size).toBe(sockets.length - 1)
})

test('publish except one, several, or the subscribers of another topic', async () => {
  const { realtime, peers, sockets } = await crowd()
  for (const socket of sockets) socket.subscribe('news')
  const [first, second, third] = sockets as [Socket, Socket, Socket]
  third.subscribe('muted')
  expect(realtime.publish('news', '1', { except: first })).toBe(4)
  expect(realtime.publish('news', '2', { except: [first, second] })).toBe(3)
  expect(realtime.publish('news', '3', { except: 'muted' })).toBe(4)
  expect(realtime.publish('news', '4', { except: new Set([first, 'muted']) })).toBe(3)
  expect(first.publish('news', '5', { except: second })).toBe(3)
  realtime.publish('news', 'end')
  const got = []
  for (const peer of peers) {
    const all: unknown[] = []
    for (let one = await next(peer); one !== 'end'; one = await next(peer)) all.push(one)
    got.push(all.join(''))
  }
  expect(got).toEqual(['3', '134', '125', '12345', '12345'])
})

test.each([null, 5, true])('publish except %o throws, and says what is wrong', async (except) => {
  const { realtime } = await serve()
  const error = new TypeError('The option "except" must be a socket, a topic, or a list of these')
  for (const publish of [
    () => realtime.publish('news', 'x', { except: except as never }),
    () => realtime.broadcast('x', { except: except as never }),
  ])
    expect(publish).toThrow(error)
})

test('broadcast reaches everyone, with or without clientTracking', async () => {
  for (const clientTracking of [true, false]) {
    const serving = await serve({ clientTracking })
    const peers = []
    for (const kind of peerKinds) peers.push(await connectPeer(serving, kind))
    const [first] = peers
    expect(serving.realtime.broadcast('all')).toBe(peers.length)
    expect(serving.realtime.broadcast('but one', { except: first?.socket })).toBe(peers.length - 1)
    for (const peer of peers) expect(await next(peer)).toBe('all')
    for (const peer of peers.slice(1)) expect(await next(peer)).toBe('but one')
  }
})

test('disconnect ends those of the topic and says how many', async () => {
  const { realtime, peers, sockets } = await crowd()
  for (const socket of sockets.slice(1)) socket.subscribe('user:ada')
  const ends = sockets.slice(1).map((socket) => closeOf(socket))
  expect(realtime.disconnect('user:ada', 4001, 'Signed out')).toBe(4)
  expect(realtime.disconnect('user:ada')).toBe(0)
  for (const end of ends) expect((await end).code).toBe(4001)
  realtime.broadcast('still here')
  expect(await next(peers[0] as (typeof peers)[0])).toBe('still here')
  for (const peer of peers.slice(1)) expect(await next(peer)).toEqual({ code: 4001, reason: 'Signed out' })
  expect(() => realtime.disconnect('nobody', 999)).toThrow(TypeError)
  expect(() => realtime.disconnect('nobody', 4000, 'x'.repeat(124))).toThrow(RangeError)
})

test('an object cannot be sent, and the error says what to do', async () => {
  const { realtime, sockets } = await crowd()
  for (const socket of sockets) {
    socket.subscribe('news')
    for (const send of [
      (data: string) => socket.send(data),
      (data: string) => realtime.publish('news', data),
      (data: string) => realtime.broadcast(data),
    ]) {
      expect(() => send({ a: 1 } as unknown as string)).toThrow(/JSON\.stringify/)
      expect(() => send({ a: 1 } as unknown as string)).toThrow(TypeError)
      expect(() => send(true as unknown as string)).toThrow(/Boolean.*JSON\.stringify/)
    }
  }
})

test('types: the class of the sockets, their data, the request', () => {
  class Member extends Socket<{ user: string }> {
    greet(): void {}
  }
  const realtime = new WebSocketServer<typeof Member>({ noServer: true, WebSocket: Member })
  realtime.on('connection', (socket) => {
    expectTypeOf(socket).toEqualTypeOf<Member>()
    expectTypeOf(socket.data.user).toEqualTypeOf<string>()
  })
  expectTypeOf(realtime.clients).toEqualTypeOf<Set<Member>>()
  expectTypeOf(realtime.subscribers('x')).toEqualTypeOf<ReadonlySet<Member>>()
  // @ts-expect-error: there is no such event
  realtime.on('conection', () => {})
  // @ts-expect-error: the first argument is a socket
  realtime.on('connection', (socket: string) => socket)
  expectTypeOf(new WebSocketServer({ noServer: true }).clients).toEqualTypeOf<Set<Socket>>()
  expectTypeOf(new WebSocketServer<typeof Socket>({ noServer: true }).clients).toEqualTypeOf<Set<Socket>>()
})

test('types: what middleware has put on a request, as docs/API.md says it', () => {
  class Asked extends IncomingMessage {
    session!: { readonly user: string }
    user!: { readonly name: string }
  }
  // Nobody calls it: it is for the compiler.
  const use = (): void => {
    const realtime = new WebSocketServer<typeof Socket, typeof Asked>({ noServer: true })
    realtime.on('connection', (socket, request) => {
      expectTypeOf(socket).toEqualTypeOf<Socket>()
      expectTypeOf(request).toExtend<Asked>()
      expectTypeOf(request.session.user).toEqualTypeOf<string>()
      expectTypeOf(request.token).toEqualTypeOf<string | undefined>()
      // @ts-expect-error: the middleware has put no such thing there
      request.sessions
    })
    realtime.on('headers', (_headers, request) => expectTypeOf(request.user.name).toEqualTypeOf<string>())
    // As code for `ws` has it.
    new OfWs<typeof OfWsWebSocket, typeof Asked>({ port: 0 }).on('connection', (socket, request) => {
      expectTypeOf(socket).toEqualTypeOf<Socket>()
      expectTypeOf(request.session.user).toEqualTypeOf<string>()
    })
    // @ts-expect-error: a listener for the request of somebody else
    realtime.on('connection', (_socket, request: { readonly session: number }) => request)
  }
  expectTypeOf(use).returns.toBeVoid()
})

test('types: the data of a class that adds nothing', () => {
  interface Data {
    readonly user: string
  }
  class Plain extends Socket<Data> {}
  class Any extends Socket<{ [name: string]: string }> {}
  // Nobody calls it: it is for the compiler.
  const use = (): void => {
    new WebSocketServer<typeof Plain>().on('connection', ({ data }) =>
      expectTypeOf(data).toEqualTypeOf<Data>(),
    )
    new WebSocketServer<typeof Socket<Data>>().on('connection', ({ data }) =>
      expectTypeOf(data).toEqualTypeOf<Data>(),
    )
    expectTypeOf(new WebSocketServer<typeof Any>().clients).toEqualTypeOf<Set<Any>>()
  }
  expectTypeOf(use).returns.toBeVoid()
})
