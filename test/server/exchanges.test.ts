// HTTP carriers: docs/PROTOCOL.md, section 3, as a client sees it that says exactly what the test wants.
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask, Status } from '../../shared/exchange.ts'
import { fetchAll, type HttpAnswer, listen, readAll } from '../support/http.ts'
import {
  bodyOf,
  close,
  marked,
  type Piece,
  piece,
  ping,
  pong,
  postRaw,
  RawClient,
  text,
} from '../support/raw-client.ts'
import { ownServerClock } from '../support/server-clock.ts'
import { closeOf, messagesOf, openSession, serve, watch } from '../support/serving.ts'

describe('malformed', () => {
  const client = new RawClient('')
  const head = bodyOf(client.head({ ask: Ask.open, serial: 1 }))
  const bodies: [string, Uint8Array][] = [
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('hello')],
    ['another version', Buffer.concat([Buffer.from([0xe2]), head.subarray(1)])],
    ['half a head', head.subarray(0, 20)],
    ['a head without its end', head.subarray(0, -1)],
    ['a number too long', Buffer.concat([head.subarray(0, 30), Buffer.alloc(12, 0xff)])],
    ['a number too large', Buffer.concat([head.subarray(0, 30), Buffer.from('ffffffffffffff7f', 'hex')])],
    ['a kind that is none', Buffer.concat([head, Buffer.from([0, 0])])],
    ['a kind of the future', Buffer.concat([head, Buffer.from([42, 0])])],
    ['a record without its end', Buffer.concat([head, Buffer.from([1, 5, 65])])],
    ['a record without its length', Buffer.concat([head, Buffer.from([1])])],
    ['a record longer than any body', Buffer.concat([head, Buffer.from('01ffffffffff7f', 'hex')])],
  ]
  test.each(bodies)('%s: 400, and no client', async (_what, body) => {
    const { url, connections } = await serve()
    const answer = await postRaw(url, body)
    expect([answer.status, answer.body.toString()]).toEqual([400, 'Malformed exchange'])
    expect(answer.headers['cache-control']).toBe('no-store')
    await new RawClient(url).open()
    await connections.next()
    expect(connections.size).toBe(0)
  })

  const requests: [string, string, string][] = [
    ['GET', '1', 'an exchange with the wrong method'],
    ['PUT', '1', 'a method that is none of ours'],
    ['POST', 'AAAA', 'an event stream with the wrong method'],
    ['DELETE', 'AAAA', 'a method that is none of ours'],
    ['HEAD', 'AAAA', 'a HEAD'],
  ]
  test.each(requests)('%s everwire=%s: 405 for %s', async (method, mark) => {
    const { url } = await serve()
    const { status, headers, body } = await fetchAll(marked(url, mark), { method })
    expect([status, headers.allow]).toEqual([405, 'GET, POST'])
    if (method !== 'HEAD')
      expect(body.toString()).toBe('Use POST for an exchange and GET for an event stream')
  })

  const faults: [string, Piece[], number, number][] = [
    ['a welcome from a client', [piece('welcome', Buffer.from('{}'))], 1002, 0],
    ['a ticket from a client', [piece('ticket', Buffer.from('x'))], 1002, 0],
    ['a ping too long', [ping('x'.repeat(126))], 1002, 0],
    ['a ping that is no UTF-8', [piece('ping', Buffer.from([0xff]))], 1002, 0],
    ['a pong too long', [pong('x'.repeat(126))], 1002, 0],
    ['an abort without a code', [piece('abort', Buffer.from(''))], 1002, 0],
    ['an abort with a code that must not be', [piece('abort', Buffer.from('1005,'))], 1002, 0],
    ['a close with half a code', [piece('close', Buffer.from('10'))], 1002, 0],
    ['a close with a code that must not be', [piece('close', Buffer.from('1005,'))], 1002, 0],
    ['a close that is no UTF-8', [piece('close', Buffer.from('1000,\xff', 'latin1'))], 1007, 0],
    ['text that is no UTF-8', [piece('text', Buffer.from([0x61, 0xff]))], 1007, 0],
    [
      'text that ends within a character',
      [text('ä').payload].map((one) => piece('text', one.subarray(0, 1))),
      1007,
      0,
    ],
    ['a message too large', [text('x'.repeat(101))], 1009, 0],
    ['a message too large, in pieces', [text('x'.repeat(60), true), text('x'.repeat(60))], 1009, 0],
    ['an acknowledgement of what was never sent', [], 1002, 7],
  ]
  test.each(faults)('%s: the session ends, with a reason', async (_what, records, code, number) => {
    const { client, socket } = await openSession({ maxPayload: 100 })
    const errors: Error[] = []
    socket.on('error', (error) => errors.push(error))
    const ended = closeOf(socket)
    await client.send([text('before'), ...records, text('behind')], { has: { number, offset: 0 } })
    expect((await ended).code).toBe(1006)
    expect(errors).toHaveLength(1)
    expect(client.received).toEqual([{ code, reason: errors[0]?.message }])
  })

  test('whoever does not listen for errors is not punished', async () => {
    const { client, socket } = await openSession()
    const ended = closeOf(socket)
    await client.send([piece('text', Buffer.from([0xff]))])
    expect((await ended).code).toBe(1006)
  })
})

describe('too large', () => {
  test('413 with the reason, which also a client reads that is not through with sending', async () => {
    const { url, port } = await serve({ maxBody: 10_000 })
    const answer = await postRaw(url, Buffer.alloc(10_001))
    expect([answer.status, answer.body.toString()]).toEqual([413, 'The body is larger than 10000 bytes'])
    for (const header of ['Content-Length: 100000', 'Transfer-Encoding: chunked']) {
      const socket = connect(port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      const all = readAll(socket)
      socket.write(`POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`)
      const chunk = Buffer.alloc(10_000, 'x')
      const chunked = header.startsWith('T')
      for (let i = 0; i < 10; i++) {
        if (chunked) socket.write(`${chunk.length.toString(16)}\r\n`)
        socket.write(chunk)
        if (chunked) socket.write('\r\n')
      }
      socket.end(chunked ? '0\r\n\r\n' : '')
      expect(await all).toMatch(/^HTTP\/1\.1 413 /)
    }
  })

  test('a body without end is cut off', async () => {
    const { port, url } = await serve({ maxBody: 1000 })
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const all = readAll(socket)
    socket.write('POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n')
    const chunk = Buffer.alloc(64 * 1024)
    const pump = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', pump)
    pump()
    expect(await all).toMatch(/^(HTTP\/1\.1 413 |$)/)
    expect((await new RawClient(url).open()).head?.status).toBe(Status.ok)
  })

  test('the session goes on, with smaller bodies', async () => {
    const { client, socket } = await openSession({ maxBody: 10_000 })
    const messages = messagesOf(socket)
    const large = 'x'.repeat(15_000)
    expect((await client.send([text(large)])).status).toBe(413)
    await client.send([text(large.slice(0, 8000), true)])
    expect(client.at).toEqual({ number: 0, offset: 8000 })
    await client.send([text(large.slice(8000))])
    expect(await messages.next()).toBe(large)
  })
})

describe('unknown', () => {
  test('unknown, expired, ended and foreign sessions are answered alike, byte for byte', async () => {
    const moveOn = ownServerClock()
    const { client, url, socket } = await openSession()
    const foreign = Object.assign(new RawClient(url), { id: client.id })
    const answers: HttpAnswer[] = [
      await new RawClient(url).send(),
      await foreign.send(),
      await foreign.poll(),
    ]
    // A foreign one is not let in by asking to be.
    answers.push(await foreign.open(), await foreign.send([], { ask: Ask.standby }))
    expect(socket.readyState).toBe(1)
    const ended = closeOf(socket)
    const stream = await client.stream()
    await stream.cut()
    await expect.poll(() => socket.transport).toBe(null)
    await moveOn(31_000)
    expect((await ended).code).toBe(1006)
    answers.push(await client.send(), await (await client.stream()).whole())
    expect(await client.open()).toMatchObject({ head: { status: Status.unknown } })
    for (const { status, headers, body } of answers) {
      expect({ status, body: body.toString('hex'), length: headers['content-length'] }).toEqual({
        status: 200,
        body: 'e10200000000',
        length: '6',
      })
      expect(Object.keys(headers).sort()).toEqual(Object.keys(answers[0]?.headers ?? {}).sort())
    }
  })

  test('a session that has ended properly is forgotten, and stays so', async () => {
    const { client, socket, connections } = await openSession()
    const ended = closeOf(socket)
    await client.send([close(1000)])
    await ended
    await client.send()
    expect((await client.send()).head?.status).toBe(Status.unknown)
    expect((await client.open()).head?.status).toBe(Status.unknown)
    expect(connections.size).toBe(0)
  })

  test('a client with a past that this server does not share is unknown', async () => {
    const { url, connections } = await serve()
    const client = new RawClient(url)
    const answer = await client.open([], { has: { number: 5, offset: 0 } })
    expect(answer.head?.status).toBe(Status.unknown)
    expect(connections.size).toBe(0)
  })
})

describe('opening', () => {
  test('word for word twice: one connection, one welcome each', async () => {
    const { url, connections } = await serve()
    const client = new RawClient(url)
    const body = bodyOf(client.head({ ask: Ask.open, serial: 1 }), [text('hello')])
    const answers = await Promise.all([client.post(body), client.post(body), client.post(body)])
    answers.push(await client.post(body))
    for (const { head, records } of answers) {
      expect(head?.status).toBe(Status.ok)
      expect(records[0]?.kind).toBe('welcome')
    }
    const { socket } = await connections.next()
    expect(socket.id).toBe(Buffer.from(client.id).toString('base64url'))
    expect(connections.size).toBe(0)
  })

  test('the welcome says how the server behaves', async () => {
    const { url } = await serve({ heartbeat: 1234, patience: 5678, maxBody: 9999 })
    const client = new RawClient(url)
    await client.open()
    expect(client.welcome).toEqual({ got: 0, protocol: '', heartbeat: 1234, patience: 5678, maxBody: 9999 })
  })

  test('with hold, with stream, with messages', async () => {
    const { realtime, url, connections } = await serve()
    realtime.on('connection', (socket) => {
      socket.send('greeting')
      socket.on('message', (data) => socket.send(`echo ${data}`))
    })
    const polling = new RawClient(url)
    const held = await polling.poll({ ask: Ask.open | Ask.hold })
    expect(held.records[0]?.kind).toBe('welcome')
    if (polling.received.length === 0) await polling.poll()
    expect(polling.received).toEqual(['greeting'])
    const streaming = new RawClient(url)
    const stream = await streaming.stream({ ask: Ask.open | Ask.hold | Ask.stream })
    expect((await stream.records.next()).kind).toBe('welcome')
    expect(await streaming.arrived.next()).toBe('greeting')
    await streaming.send([text('one')])
    expect(await streaming.arrived.next()).toBe('echo one')
    expect(connections.size).toBe(2)
  })

  /** A server, and the moment when so many connections have come to it. */
  async function awaiting(options: ServerOptions) {
    const server = createServer()
    const port = await listen(server)
    let expected = 0
    let reached = (): void => {}
    server.on('connection', () => --expected || reached())
    const connections = watch(new WebSocketServer({ server, ...options }))
    const reach = (count: number): Promise<void> => {
      expected = count
      return new Promise((resolve) => {
        reached = resolve
      })
    }
    return { url: `http://127.0.0.1:${port}/`, connections, reach }
  }

  test.each(['at once', 'a little later', 'when all of them are there'])(
    'carriers that race, with a client verified %s, open one session',
    async (when) => {
      let asked = 0
      let all: Promise<void> | undefined
      const { url, connections, reach } = await awaiting({
        verifyClient: (_info, done) => {
          asked++
          const ok = (): void => done(true)
          if (when === 'at once') ok()
          else if (when === 'a little later') setImmediate(ok)
          else void all?.then(ok)
        },
      })
      for (const first of ['WebSocket', 'exchange']) {
        const client = new RawClient(url)
        const carry = [
          () => client.webSocket({ ask: Ask.open, epoch: 1 }).next('welcome'),
          () => client.open([], { epoch: 2, ask: Ask.open | Ask.standby }),
          () => client.open([], { epoch: 2, ask: Ask.open | Ask.standby }),
          () => client.webSocket({ ask: Ask.open | Ask.standby, epoch: 3 }).next('welcome'),
        ]
        if (first === 'exchange') carry.reverse()
        all = reach(carry.length)
        await Promise.all(carry.map((one) => one()))
        const { socket } = await connections.next()
        expect(socket.transport).toBe('websocket')
        expect(connections.size).toBe(0)
      }
      expect(asked).toBe(2)
    },
  )

  test('two carriers that race and are refused', async () => {
    let asked = 0
    let all: Promise<void> | undefined
    const { url, connections, reach } = await awaiting({
      verifyClient: (_info, done) => {
        asked++
        // What came over the last connection is read a few turns later.
        void all?.then(() => afterTurns(5, () => done(false, 403, 'No!')))
      },
    })
    all = reach(2)
    const client = new RawClient(url)
    const webSocket = client.webSocket({ ask: Ask.open })
    const answers = await Promise.all([client.open([], { epoch: 2 }), webSocket.closed])
    expect([answers[0].status, answers[0].body.toString(), answers[1].code]).toEqual([403, 'No!', 1006])
    expect(asked).toBe(1)
    expect(connections.size).toBe(0)
  })
})

function afterTurns(count: number, run: () => void): void {
  if (count === 0) run()
  else setImmediate(afterTurns, count - 1, run)
}
