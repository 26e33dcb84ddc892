// The option `WebSocket`: the server's sockets are of a class of the application's own, whatever carries them.
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as ws from 'ws'
import { createWebSocketStream, Socket, WebSocketServer } from '../../server/index.ts'
import { WebSocket } from '../../ws/index.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { plain } from '../support/plain-client.ts'
import { closeOf, messagesOf, serve } from '../support/serving.ts'

class Member extends Socket {
  isAlive = false
  readonly #greeting = 'hello'
  readonly closes: unknown[] = []

  constructor(...args: ConstructorParameters<typeof Socket>) {
    super(...args)
    this.on('pong', () => {
      this.isAlive = true
    })
  }

  greet(): void {
    this.send(this.#greeting)
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.closes.push(code)
    super.close(code, reason)
  }
}

describe.each(peerKinds)('%s', (kind) => {
  test('is of that class, and does all that a socket does', async () => {
    const serving = await serve({ WebSocket: Member })
    const peer = await connectPeer(serving, kind)
    const member = peer.socket as Member
    expect(member).toBeInstanceOf(Member)
    expect(member).toBeInstanceOf(WebSocket)
    expect([...serving.realtime.clients]).toEqual([member])
    expect([member.readyState, member.transport !== null, member.id.length > 10]).toEqual([1, true, true])
    member.greet()
    expect(await next(peer)).toBe('hello')
    const messages = messagesOf(member)
    peer.send('one')
    expect(await messages.next()).toBe('one')
    const event = new Promise((resolve) => {
      member.onmessage = resolve
    })
    member.binaryType = 'arraybuffer'
    peer.send(Buffer.from([1]))
    expect(await event).toMatchObject({ type: 'message', target: member, data: Uint8Array.of(1).buffer })
    const answered = new Promise((resolve) => member.once('pong', resolve))
    member.ping('?')
    expect([await peer.pings.next(), String(await answered), member.isAlive]).toEqual(['?', '?', true])
    member.pause()
    expect(member.isPaused).toBe(true)
    member.resume()
    member.subscribe('news')
    serving.realtime.publish('news', 'to all')
    expect(await next(peer)).toBe('to all')
    expect(member.publish('news', 'to the others')).toBe(0)
    const ended = closeOf(member)
    member.close(4000, 'bye')
    expect(member.readyState).toBe(2)
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    expect([member.readyState, member.closes, serving.realtime.clients.size]).toEqual([3, [4000], 0])
    expect(serving.realtime.publish('news', 'to nobody')).toBe(0)
    expect(member.diary.at(-1)).toMatchObject({ type: 'close', code: 4000 })
  })

  test('as a stream', async () => {
    const peer = await connectPeer(await serve({ WebSocket: Member }), kind)
    const stream = createWebSocketStream(peer.socket)
    stream.setEncoding('utf8')
    peer.send('one')
    for await (const piece of stream) {
      expect(piece).toBe('one')
      break
    }
  })
})

test('Socket itself may be given', async () => {
  const { url, connections } = await serve({ WebSocket: Socket })
  await plain(url)
  expect((await connections.next()).socket).toBeInstanceOf(Socket)
})

describe('a class that cannot be', () => {
  test.each([
    ["that of ws's sockets", class extends ws.WebSocket {}],
    ["that of everwire/ws's clients", class extends WebSocket {}],
  ])('%s is refused when the server is made', (_what, other) => {
    expect(() => new WebSocketServer({ noServer: true, WebSocket: other })).toThrow(
      /"WebSocket" must be a class that extends Socket of everwire\/server/,
    )
  })

  test('one that keeps to itself what it is made with', () => {
    class Forgetful extends Socket {
      constructor() {
        super(undefined as never)
      }
    }
    expect(() => new Forgetful()).toThrow(/must pass its arguments to super\(\)/)
  })

  test('one that throws lets no client stay', async () => {
    class Broken extends Member {
      constructor(...args: ConstructorParameters<typeof Socket>) {
        super(...args)
        throw new Error('broken')
      }
    }
    const realtime = new WebSocketServer({ noServer: true, WebSocket: Broken })
    const thrown = new Promise<Error>((resolve) => process.once('uncaughtException', resolve))
    const listeners = process.listeners('uncaughtException').slice(0, -1)
    for (const listener of listeners) process.off('uncaughtException', listener)
    onTestFinished(() => {
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    const server = createServer().on('upgrade', (request, connection, head) =>
      realtime.handleUpgrade(request, connection, head, () => expect.unreachable('it could not be made')),
    )
    server.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`)
    const code = new Promise((resolve) => client.once('close', resolve))
    client.on('error', () => {})
    expect((await thrown).message).toBe('broken')
    expect([await code, realtime.clients.size]).toEqual([1006, 0])
    // Whoever is gone was there.
    const { open, opened, gone } = realtime.stats().plain
    expect([open, opened, gone.terminated]).toEqual([0, 1, 1])
  })

  test('one that throws leaves the count of clients as it was', async () => {
    let isBroken = true
    class Sometimes extends Member {
      constructor(...args: ConstructorParameters<typeof Socket>) {
        super(...args)
        if (isBroken) throw new Error('broken')
      }
    }
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    const realtime = new WebSocketServer({ server, WebSocket: Sometimes })
    await new Promise<void>((resolve) => realtime.once('listening', () => resolve()))
    const { port } = server.address() as { port: number }
    const listeners = process.listeners('uncaughtException')
    for (const listener of listeners) process.off('uncaughtException', listener)
    onTestFinished(() => {
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
    const refused = new ws.WebSocket(`ws://127.0.0.1:${port}`)
    refused.on('error', () => {})
    await Promise.all([thrown, new Promise((resolve) => refused.once('close', resolve))])
    isBroken = false
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`)
    await new Promise((resolve) => client.once('open', resolve))
    let isClosed = false
    const closed = new Promise<void>((resolve) => realtime.close(() => resolve()))
    closed.then(() => {
      isClosed = true
    })
    client.ping()
    await new Promise((resolve) => client.once('pong', resolve))
    expect(isClosed).toBe(false)
    client.close()
    await closed
  })
})
