// Clients that cannot be got rid of, that fill the server, or that only knock: each has an end, and a price.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type Socket as Connection, connect } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { type Socket, WebSocketServer } from '../../server/index.ts'
import type { SessionSocket } from '../../server/sockets/session-socket.ts'
import { Ask, Status } from '../../shared/exchange.ts'
import { maxRecords } from '../../shared/limits.ts'
import { listen } from '../support/http.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { plain } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import {
  binary,
  bodyOf,
  close,
  hello,
  type Piece,
  piece,
  ping,
  postRaw,
  RawClient,
  text,
} from '../support/raw-client.ts'
import { closeOf, end, messagesOf, openSession, serve, watch } from '../support/serving.ts'

describe('records', () => {
  test('a body has so many and no more, whoever sends it', async () => {
    const { client, socket } = await openSession()
    const messages = messagesOf(socket)
    const empty = (count: number): Piece[] => new Array<Piece>(count).fill(text(''))
    const refused = await client.send(empty(maxRecords + 1))
    expect([refused.status, String(refused.body)]).toEqual([400, 'Malformed exchange'])
    expect((await client.send(empty(maxRecords), { serial: 2 })).status).toBe(200)
    expect(messages.size).toBe(maxRecords)
    const stranger = new RawClient(client.url)
    expect((await stranger.send(empty(maxRecords + 1))).status).toBe(400)
  })

  test('a client of ours spreads what is small over several bodies', async () => {
    const { url, connections } = await serve()
    const client = new WebSocket(url, [], { transports: ['polling'], remember: false })
    onTestFinished(() => client.close())
    const come = new Queue<string | Buffer>()
    client.onmessage = ({ data }) => come.push(String(data))
    await once(client, 'open')
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    const count = 3 * maxRecords
    for (let i = 0; i < count; i++) client.send('')
    client.send('the last')
    for (let i = 0; i < count; i++) socket.send(String(i))
    const all = (from: Queue<string | Buffer>, many: number): Promise<(string | Buffer)[]> =>
      Promise.all(Array.from({ length: many }, () => from.next()))
    expect(await all(messages, count + 1)).toEqual([...new Array<string>(count).fill(''), 'the last'])
    expect(await all(come, count)).toEqual(Array.from({ length: count }, (_, i) => String(i)))
  })

  test('a message that is kept does not keep the body that it came in', async () => {
    const { client, socket } = await openSession()
    const kept = new Promise<Buffer>((resolve) => socket.once('message', (data) => resolve(data as Buffer)))
    await client.send([text('0123456789'), binary(new Uint8Array(900_000))])
    // Small copies share a pool, whose size depends on the version of Node.
    expect((await kept).buffer.byteLength).toBeLessThan(12_000 + Buffer.poolSize)
  })

  test('a request that opens a session brings nothing large, which would wait for a decision', async () => {
    let asked = 0
    const { url } = await serve({ verifyClient: () => ++asked > 0 })
    const answer = await new RawClient(url).send([hello(), binary(new Uint8Array(40_000))], { ask: Ask.open })
    expect([answer.status, asked]).toEqual([413, 0])
    expect((await new RawClient(url).send([hello(), text('small')], { ask: Ask.open })).status).toBe(200)
  })

  test('a greeting is no longer than all headers may be', async () => {
    const { url, connections } = await serve()
    const answer = await new RawClient(url).open(['x'.repeat(17_000)])
    expect([answer.status, String(answer.body)]).toEqual([400, 'Malformed exchange'])
    expect(connections.size).toBe(0)
  })
})

describe('after the goodbye of the application', () => {
  const ways: [string, (client: RawClient, step: number) => Promise<unknown>][] = [
    [
      'acknowledges a byte more with each request',
      (client, step) => client.send([], { has: { number: 0, offset: step } }),
    ],
    [
      'comes over another WebSocket each time',
      async (client) => {
        client.renew()
        const webSocket = client.webSocket({ has: { number: 0, offset: 0 } })
        await webSocket.opened().catch(() => {})
        webSocket.socket.terminate()
      },
    ],
    [
      'goes on sending',
      (client, step) => client.send([text(`message ${step}`), ping()], { has: { number: 0, offset: 0 } }),
    ],
  ]
  test.each(ways)('a client that %s has its time and no more', async (_what, step) => {
    const { client, socket, realtime } = await openSession({ closeTimeout: 400, patience: 10_000 })
    const told = vi.fn()
    socket.on('message', told)
    await client.send([text('in time')])
    socket.send('x'.repeat(1000))
    const ended = closeOf(socket)
    socket.close(4000, 'enough')
    const closed = new Promise<void>((resolve) => realtime.close(() => resolve()))
    let over = false
    void ended.then(() => {
      over = true
    })
    for (let count = 1; !over; count++) await step(client, count).catch(() => {})
    expect((await ended).code).toBe(1006)
    expect(told).toHaveBeenCalledTimes(1)
    await closed
  })

  test('an offset beyond the message that it is about is a lie', async () => {
    const { client, socket } = await openSession()
    socket.on('error', () => {})
    socket.send('ten bytes.')
    const ended = closeOf(socket)
    await client.send([], { has: { number: 0, offset: 11 } })
    expect(await ended).toEqual({ code: 1006, reason: 'bad ack' })
  })

  test('what still comes is acknowledged and not told', async () => {
    const { client, socket } = await openSession()
    const told = vi.fn()
    socket.on('message', told)
    socket.close(4000, 'bye')
    expect((await client.send([text('too late')])).head?.has.number).toBe(1)
    const ended = closeOf(socket)
    await client.send([close(4000, 'bye')])
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    expect(told).not.toHaveBeenCalled()
  })
})

describe('sessions that are over', () => {
  test('hold a place until they have answered, and give way first', async () => {
    const { url, connections, realtime } = await serve({ maxClients: 3 })
    const clients = Array.from({ length: 20 }, () => new RawClient(url))
    for (const client of clients) {
      expect((await client.open([])).status).toBe(200)
      const { socket } = await connections.next()
      socket.terminate()
    }
    const known = await Promise.all(clients.map((client) => client.send([])))
    // The others are forgotten, as if they had never been.
    expect(known.filter(({ head }) => head?.status === 0).length).toBeLessThanOrEqual(3)
    expect(realtime.memory).toBe(0)
  })

  test('keep no messages that still come', async () => {
    const { client, socket, realtime } = await openSession()
    socket.on('error', () => {})
    await client.send([piece('welcome', Buffer.alloc(0))], { serial: 0 })
    const large = new Uint8Array(1_000_000)
    for (let part = 0; part < 20; part++) {
      const at = { number: 0, offset: part * large.length }
      const answer = await client.send([binary(large, true)], { at, has: { number: 0, offset: 0 } })
      expect(answer.head?.has).toEqual({ number: 0, offset: (part + 1) * large.length })
    }
    expect(realtime.memory).toBeLessThan(1000)
  })
})

describe('a session that was opened over HTTP', () => {
  test('and never seen again is let go soon', async () => {
    const { client, socket } = await openSession({ openTimeout: 150, patience: 60_000 })
    const { code } = await closeOf(socket)
    expect(code).toBe(1006)
    expect((await client.send([])).head?.status).toBe(2)
  })

  test('and never seen again has the patience of any while it is one of few, and is let go soon as one of many', async () => {
    const { realtime, url, connections } = await serve({ patience: 30_000 })
    const clock = vi.spyOn(performance, 'now')
    onTestFinished(() => clock.mockRestore())
    const first = new RawClient(url)
    await first.open([])
    const { socket } = await connections.next()
    const wake = async (seconds: number): Promise<void> => {
      // By half seconds, as a server that is not late.
      for (let i = 0; i < seconds * 2; i++) {
        clock.mockReturnValue(performance.now() + 500)
        ;(socket as SessionSocket).wake(Math.floor(performance.now()))
      }
    }
    await wake(25)
    expect(socket.readyState).toBe(1)
    await wake(6)
    expect(socket.readyState).toBe(3)
    for (let i = 0; i < 1_001; i++) await new RawClient(url).open([])
    const { socket: one } = await connections.next()
    for (let i = 0; i < 21; i++) {
      clock.mockReturnValue(performance.now() + 500)
      ;(one as SessionSocket).wake(Math.floor(performance.now()))
    }
    expect(one.readyState).toBe(3)
    expect(realtime.clients.size).toBe(1_000)
  })

  test.each([
    ['an exchange', (client: RawClient) => client.send([])],
    ['a WebSocket', (client: RawClient) => client.webSocket({ ask: Ask.standby, epoch: 2 }).next('welcome')],
    ['an event stream', async (client: RawClient) => client.eventStream(await client.ticket())],
  ])('and seen again, by %s, stays', async (_what, come) => {
    const { client, socket, connections } = await openSession({ openTimeout: 150 })
    await come(client)
    const other = new RawClient(client.url)
    await other.open([])
    await closeOf((await connections.next()).socket)
    expect(socket.readyState).toBe(1)
  })

  test('and comes again while the server is busy, is waited for', async () => {
    const { client, port } = await openSession({ openTimeout: 150, patience: 60_000 })
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    await once(connection, 'connect')
    const body = bodyOf(client.head({ serial: 2 }))
    const head = `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    await new Promise((resolve) => connection.write(Buffer.concat([Buffer.from(head), body]), resolve))
    // The whole process has no turn for so long.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500)
    const [answer] = (await once(connection, 'data')) as [Buffer]
    const begin = answer.indexOf('\r\n\r\n') + 4
    expect([...answer.subarray(begin, begin + 2)]).toEqual([0xe1, Status.ok])
  })

  test('makes room for others where there is none, if it had the time to come again', async () => {
    const { url, connections } = await serve({ maxClients: 2 })
    const clock = vi.spyOn(performance, 'now')
    onTestFinished(() => clock.mockRestore())
    const [first, second] = [new RawClient(url), new RawClient(url)]
    await first.open([])
    await second.open([])
    await second.send([])
    expect((await new RawClient(url).open([])).status).toBe(503)
    const later = performance.now() + 1_500
    clock.mockReturnValue(later)
    expect((await new RawClient(url).open([])).status).toBe(200)
    expect((await first.send([])).head?.status).toBe(2)
    expect((await second.send([])).head?.status).toBe(0)
    expect(connections.size).toBe(3)
  })
})

describe('answers that nobody reads', () => {
  test('over one connection: one at a time, and few that wait', async () => {
    const { port, url } = await serve()
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    connection.on('error', () => {})
    const ended = once(connection, 'close').catch(() => {})
    const requests = Array.from({ length: 50 }, () => {
      const body = bodyOf(new RawClient(url).head({ ask: Ask.hold | Ask.open, serial: 1 }))
      const poll = bodyOf(new RawClient(url).head({ ask: Ask.open, serial: 1 }), [hello()])
      return [body, poll]
    }).flat()
    // The first is held: what comes behind it can have no answer.
    const client = new RawClient(url)
    await client.open([])
    requests.unshift(bodyOf(client.head({ ask: Ask.hold, serial: 1 })))
    const written = requests.map(
      (body) =>
        `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body.toString('latin1')}`,
    )
    connection.write(Buffer.from(written.join(''), 'latin1'))
    await ended
    expect((await client.send([])).head?.status).toBe(0)
  })

  test('of requests that come before the answer is read, each has its own in its turn', async () => {
    const { port, url } = await serve()
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    const clients = Array.from({ length: 4 }, () => new RawClient(url))
    for (const client of clients) {
      const body = bodyOf(client.head({ ask: Ask.open, serial: 1 }), [hello()])
      connection.write(
        `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
      )
      connection.write(body)
    }
    let got = ''
    while (got.split('"got":0').length < 5) got += String((await once(connection, 'data'))[0])
    for (const client of clients) expect((await client.send([])).head?.status).toBe(0)
  })

  test('of one session are few, and the oldest give way; those of all are counted', async () => {
    const { client, socket, realtime, port } = await openSession()
    const message = Buffer.alloc(300_000, 1)
    socket.send(message)
    const many = 30
    const connections = Array.from({ length: many }, () => connect({ port, host: '127.0.0.1' }))
    let closed = 0
    for (const connection of connections) {
      connection.pause()
      connection.on('error', () => {}).on('close', () => closed++)
      onTestFinished(() => void connection.destroy())
      const body = bodyOf(client.head({ ask: Ask.again, serial: ++client.shortSerial }))
      connection.write(
        `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
      )
      connection.write(body)
      await client.send([])
    }
    // What the operating system has taken is not ours.
    expect((socket as SessionSocket).sessionAccount.answers.bytes).toBeLessThanOrEqual(1024 * 1024)
    expect(realtime.memory).toBeLessThan(2 * 1024 * 1024)
    for (const connection of connections) connection.destroy()
    await expect.poll(() => (socket as SessionSocket).sessionAccount.answers.bytes).toBe(0)
    expect(closed).toBeLessThanOrEqual(many)
  })

  test('have a deadline', async () => {
    const { client, socket, realtime, port } = await openSession({ answerTimeout: 200 })
    socket.send(Buffer.alloc(20_000_000, 1))
    const before = realtime.memory
    const connection = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void connection.destroy())
    connection.on('error', () => {})
    // So many that the operating system cannot take them all: nothing is read here.
    connection.pause()
    const body = bodyOf(client.head({ ask: Ask.hold | Ask.stream, serial: 1 }))
    connection.write(
      `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    connection.write(body)
    await expect.poll(() => (socket as SessionSocket).carrier?.bufferedAmount).toBeGreaterThan(0)
    const left = (): number => {
      socket.ping()
      return (socket as SessionSocket).carrier?.bufferedAmount ?? 0
    }
    await expect.poll(left).toBe(0)
    expect(socket.readyState).toBe(1)
    expect(realtime.memory).toBeLessThanOrEqual(before + 1000)
  })

  test.each([false, true])(
    'have a deadline, also a stream that another one has taken the place of (compressed: %s)',
    async (httpCompression) => {
      const realtime = new WebSocketServer({ noServer: true, answerTimeout: 500, httpCompression })
      onTestFinished(() => end(realtime))
      const connections = watch(realtime)
      const server = createServer(realtime.middleware)
      const sockets: Connection[] = []
      server.on('connection', (one) => sockets.push(one))
      const port = await listen(server)
      const client = new RawClient(`http://127.0.0.1:${port}/realtime`)
      await client.open()
      const { socket } = await connections.next()
      const connection = connect({ port, host: '127.0.0.1' })
      onTestFinished(() => void connection.destroy())
      connection.on('error', () => {})
      connection.pause()
      const body = bodyOf(client.head({ ask: Ask.hold | Ask.stream, serial: 1 }))
      connection.write(
        `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
      )
      connection.write(body)
      await expect.poll(() => (socket as SessionSocket).carrier?.transport).toBe('stream')
      const [, behind] = sockets as [Connection, Connection]
      // So much that the operating system cannot take it all, and that nobody can compress.
      socket.send(randomBytes(20_000_000))
      await expect.poll(() => behind.writableLength).toBeGreaterThan(0)
      const closed = once(behind, 'close')
      const next = await client.stream({ serial: 2 })
      await next.cut()
      await closed
      socket.terminate()
      await expect.poll(() => realtime.memory).toBe(0)
    },
  )
})

describe('memory', () => {
  const budget = 8 * 1024 * 1024

  test('is counted: what waits to be sent, what has come in part, what is not told yet; and is nothing in the end', async () => {
    const { client, socket, realtime } = await openSession()
    expect(realtime.memory).toBe(0)
    socket.send(Buffer.alloc(1000))
    expect(realtime.memory).toBeGreaterThanOrEqual(1000)
    await client.send([binary(new Uint8Array(50_000), true)])
    expect(realtime.memory).toBeGreaterThanOrEqual(51_000)
    socket.pause()
    const rest = { at: { number: 0, offset: 50_000 } }
    await client.send([binary(new Uint8Array(10), false)], { ...rest, has: client.has })
    expect(realtime.memory).toBeGreaterThanOrEqual(50_000)
    const ended = closeOf(socket)
    socket.terminate()
    await ended
    await client.send([])
    expect(realtime.memory).toBe(0)
  })

  test('a publication is counted once, however many have it', async () => {
    const { realtime, url, connections } = await serve()
    for (let i = 0; i < 10; i++) {
      await new RawClient(url).open([])
      ;(await connections.next()).socket.subscribe('all')
    }
    realtime.publish('all', Buffer.alloc(100_000))
    // Its payload, and its frame.
    expect(realtime.memory).toBeLessThan(210_000)
    for (const socket of realtime.clients) socket.terminate()
    await expect.poll(() => realtime.memory).toBeLessThan(1000)
  })

  test('what waited to be compressed counts until it has left', async () => {
    const { realtime, url, connections } = await serve({ perMessageDeflate: true })
    const client = await plain(url, [], { perMessageDeflate: true })
    const { socket } = await connections.next()
    const received = once(client, 'message')
    socket.send('x'.repeat(1024 * 1024))
    await new Promise<void>((resolve) => process.nextTick(resolve))
    expect(realtime.memory).toBeGreaterThanOrEqual(1024 * 1024)
    await received
    await expect.poll(() => realtime.memory).toBe(0)
  })

  test('beyond its bound the heaviest end with 1013, and the others go on', async () => {
    const { realtime, url, connections } = await serve({ maxMemory: budget })
    const modest = new RawClient(url)
    await modest.open([])
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    const ends: number[] = []
    let largest = 0
    for (let round = 0; round < 12; round++) {
      const greedy = new RawClient(url)
      await greedy.open([])
      const opened = await connections.next()
      opened.socket.on('close', (code) => ends.push(code))
      const part = new Uint8Array(900_000)
      for (let at = 0; at < 3; at++) {
        await greedy.send([binary(part, true)], { at: { number: 0, offset: at * part.length } })
        largest = Math.max(largest, realtime.memory)
      }
    }
    // One for each that is too many, and no more.
    expect(ends.length).toBe(10)
    expect(new Set(ends)).toEqual(new Set([1013]))
    expect(largest).toBeLessThan(budget + 4 * 1024 * 1024)
    await modest.send([text('still here')])
    expect(await messages.next()).toBe('still here')
  })

  test('beyond its bound the heaviest ends, also if its messages wait for a paused application', async () => {
    const { realtime, url, connections } = await serve({ maxMemory: 4 * 1024 * 1024 })
    const opened: string[] = []
    const ends: unknown[] = []
    const openOne = async (name: string): Promise<[RawClient, Socket]> => {
      const client = new RawClient(url)
      await client.open([])
      const { socket } = await connections.next()
      opened.push(name)
      socket.on('close', (code) => ends.push([name, code]))
      return [client, socket]
    }
    const [, modest] = await openOne('modest')
    modest.send('a message that nobody acknowledges')
    for (let i = 1; ends.length === 0; i++) {
      const [client, socket] = await openOne(`paused ${i}`)
      socket.pause()
      for (let k = 0; k < 16 && ends.length === 0; k++) await client.send([text('x'.repeat(60_000))])
    }
    // Others would have ended at the same moment.
    expect(ends).toEqual([[expect.stringContaining('paused'), 1013]])
    expect(opened.length).toBeGreaterThan(4)
    expect(realtime.memory).toBeLessThan(4 * 1024 * 1024)
  })

  test('counts bodies that are being read, and ends the largest of them before a client that has less', async () => {
    const { client, socket, realtime, port } = await openSession({ maxMemory: 3 * 1024 * 1024 })
    await client.send([])
    const strangers = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'))
    let ended = 0
    for (const stranger of strangers) {
      stranger.on('error', () => {}).on('close', () => ended++)
      onTestFinished(() => void stranger.destroy())
      stranger.write('POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
      await new Promise((resolve) => stranger.write(Buffer.alloc(900_000), resolve))
    }
    await expect.poll(() => ended).toBeGreaterThan(5)
    expect(realtime.memory).toBeLessThan(4 * 1024 * 1024)
    expect(socket.readyState).toBe(1)
    for (const stranger of strangers) stranger.destroy()
    await expect.poll(() => realtime.memory).toBe(0)
  })

  test.each(['plain', 'websocket'] as const)(
    'counts a message that comes in part over a WebSocket (%s)',
    async (kind) => {
      const serving = await serve({ maxMemory: budget })
      const { realtime, port, connections } = serving
      const client = new RawClient(serving.url)
      const ended = new Promise<number>((resolve) =>
        realtime.on('connection', (socket) => socket.on('close', resolve)),
      )
      const connection = connect(port, '127.0.0.1')
      onTestFinished(() => void connection.destroy())
      connection.on('error', () => {})
      const protocol =
        kind === 'plain' ? '' : `Sec-WebSocket-Protocol: everwire.1, ${client.token({ ask: Ask.open })}\r\n`
      connection.write(
        `GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${protocol}` +
          'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      )
      await connections.next()
      const head = Buffer.alloc(14)
      head.writeUInt8(0x82, 0)
      head.writeUInt8(0xff, 1)
      head.writeBigUInt64BE(90_000_000n, 2)
      connection.write(head)
      const part = Buffer.alloc(1024 * 1024)
      let largest = 0
      for (let i = 0; i < 40 && !connection.destroyed; i++) {
        await new Promise((resolve) => connection.write(part, resolve))
        largest = Math.max(largest, realtime.memory)
      }
      expect(await ended).toBe(kind === 'plain' ? 1006 : 1013)
      expect(largest).toBeGreaterThan(1024 * 1024)
      await expect.poll(() => realtime.memory).toBe(0)
    },
  )
})

describe('a limit of messages', () => {
  // An hour: however slow the machine is, no time that passes in a test pays for another message.
  const rateLimit = { messages: 20, per: 3_600_000 }

  test.each(peerKinds)('is kept on %s: whoever sends more is ended with 1008', async (kind) => {
    const serving = await serve({ rateLimit })
    const peer = await connectPeer(serving, kind)
    peer.socket.on('error', () => {})
    const told: string[] = []
    peer.socket.on('message', (data) => told.push(String(data)))
    for (let i = 0; i < 25; i++) peer.send(String(i))
    expect(await next(peer)).toMatchObject({ code: 1008 })
    expect(told.length).toBeLessThanOrEqual(20)
  })

  test.each(peerKinds)('and who keeps it is left alone on %s', async (kind) => {
    const serving = await serve({ rateLimit })
    const peer = await connectPeer(serving, kind)
    const messages = messagesOf(peer.socket)
    for (let i = 0; i < 20; i++) peer.send(String(i))
    for (let i = 0; i < 20; i++) expect(await messages.next()).toBe(String(i))
    expect(peer.socket.readyState).toBe(1)
  })
})

test('what a stranger asks in vain is answered before its records are looked at', async () => {
  const { url } = await serve()
  const stranger = new RawClient(url)
  const body = bodyOf(
    stranger.head({ serial: 1 }),
    new Array<Piece>(4000).fill(piece('pause', Buffer.from('0'))),
  )
  const made = vi.spyOn(Buffer, 'from')
  onTestFinished(() => made.mockRestore())
  const before = made.mock.calls.length
  expect((await postRaw(url, body)).head?.status).toBe(2)
  expect(made.mock.calls.length - before).toBeLessThan(200)
})
