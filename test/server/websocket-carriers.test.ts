// WebSocket carriers, and sessions that go from one carrier to another: docs/PROTOCOL.md, sections 2 and 4.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket as NetSocket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Socket, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { handshake, listen } from '../support/http.ts'
import { ask, plain } from '../support/plain-client.ts'
import { RawClient, type RawWebSocket, text } from '../support/raw-client.ts'
import { ownServerClock } from '../support/server-clock.ts'
import { closeOf, end, messagesOf, type Serving, serve } from '../support/serving.ts'

interface Opened extends Serving {
  readonly client: RawClient
  readonly carrier: RawWebSocket
  readonly socket: Socket
}

async function opened(options = {}): Promise<Opened> {
  const serving = await serve(options)
  const client = new RawClient(serving.url)
  const carrier = await client.openWebSocket()
  const { socket } = await serving.connections.next()
  return { ...serving, client, carrier, socket }
}

/** The next carrier of a session, a WebSocket, once it is in use. */
async function resume(client: RawClient): Promise<RawWebSocket> {
  client.renew()
  const carrier = client.webSocket()
  await carrier.next('welcome')
  return carrier
}

/** A frame as a client sends it; the mask is zero. */
function frame(first: number, payload: Uint8Array, masked = true): Buffer {
  const { length } = payload
  const bit = masked ? 0x80 : 0
  const size = length < 126 ? [bit | length] : [bit | 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([first, ...size]), Buffer.alloc(masked ? 4 : 0), payload])
}

const nothing = Buffer.alloc(0)
const broken: [string, Buffer, number][] = [
  ['a reserved bit', frame(0xc1, nothing), 1002],
  ['an opcode that is none', frame(0x83, nothing), 1002],
  ['a control opcode that is none', frame(0x8b, nothing), 1002],
  ['a frame without a mask', frame(0x81, nothing, false), 1002],
  ['a continuation of nothing', frame(0x80, nothing), 1002],
  ['a message within a message', Buffer.concat([frame(0x01, nothing), frame(0x81, nothing)]), 1002],
  ['a ping in pieces', frame(0x09, nothing), 1002],
  ['a ping too long', frame(0x89, Buffer.alloc(126)), 1002],
  ['a close with half a code', frame(0x88, Buffer.from([3])), 1002],
  ['a close with a code that must not be', frame(0x88, Buffer.from([3, 0xed])), 1002],
  ['text that is no UTF-8', frame(0x81, Buffer.from([0xc3, 0x28])), 1007],
  ['a reason that is no UTF-8', frame(0x88, Buffer.from([3, 0xe8, 0xff])), 1007],
  ['too large a message', frame(0x82, Buffer.alloc(3000)), 1009],
]

describe('malformed', () => {
  /** A bare connection behind its handshake. */
  const shakeHands = async (port: number, headers: Record<string, string>): Promise<NetSocket> => {
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    connection.write(handshake('/realtime', headers))
    await once(connection, 'readable')
    return connection
  }
  /** The code of the close frame that is the last of all. */
  const lastCode = async (connection: NetSocket): Promise<number> => {
    const chunks: Buffer[] = []
    connection.on('data', (chunk: Buffer) => chunks.push(chunk))
    await new Promise((resolve) => connection.once('end', resolve))
    const all = Buffer.concat(chunks)
    const at = all.lastIndexOf(Buffer.from([0x88, 2]))
    return at < 0 ? 0 : all.readUInt16BE(at + 2)
  }

  test.each(broken)('%s, from an ordinary client', async (_what, bytes, code) => {
    const { port, connections } = await serve({ maxPayload: 1000 })
    const connection = await shakeHands(port, {})
    const { socket } = await connections.next()
    const [failed, ended] = [once(socket, 'error'), closeOf(socket)]
    connection.write(bytes)
    expect(await lastCode(connection)).toBe(code)
    expect((await failed)[0]).toBeInstanceOf(Error)
    connection.end()
    expect((await ended).code).toBe(1006)
  })

  test.each(broken)(
    "%s, on a session's carrier: told at once, and again to whoever resumes",
    async (_what, bytes, code) => {
      const { port, connections, url } = await serve({ maxPayload: 1000 })
      const client = new RawClient(url)
      const connection = await shakeHands(port, {
        'Sec-WebSocket-Protocol': `everwire.1, ${client.token({ ask: Ask.open })}`,
      })
      const { socket } = await connections.next()
      const [failed, ended] = [once(socket, 'error'), closeOf(socket)]
      connection.write(bytes)
      expect(await lastCode(connection)).toBe(code)
      expect((await ended).code).toBe(1006)
      expect((await failed)[0]).toBeInstanceOf(Error)
      await resume(client)
      expect(await client.arrived.next()).toMatchObject({ code })
    },
  )

  const controls: [string, string][] = [
    ['nothing', '\0'.concat('')],
    ['a letter that is none', '\0?'],
    ['an ack without a number', controlText('ack', '')],
    ['an ack below zero', controlText('ack', '-1')],
    ['an ack that is no number', controlText('ack', '1x')],
    ['an ack of what was never sent', controlText('ack', '99')],
    ['a ping too long', controlText('ping', 'x'.repeat(126))],
    ['a close without a reason', controlText('close', '1000')],
    ['a close with a code that must not be', controlText('close', '1006,x')],
    ['an abort without a code', controlText('abort', '')],
    ['a take of half', controlText('take', '1')],
    ['a take where nothing stands by', controlText('take', '0,0')],
    [
      "the server's welcome",
      controlText('welcome', '{"got":0,"protocol":"","heartbeat":1,"patience":1,"maxBody":256}'),
    ],
    ["the server's superseded", controlText('superseded', '')],
  ]
  test.each(controls.slice(1))('a control: %s', async (_what, control) => {
    const { client, carrier, socket } = await opened()
    const ended = closeOf(socket)
    carrier.socket.send(control)
    expect(await client.arrived.next()).toMatchObject({ code: 1002 })
    expect((await ended).code).toBe(1006)
  })
})

describe('acknowledgements', () => {
  test.each([
    ['after 64 messages', 64, 1],
    ['after 128 KiB', 2, 65_536],
    ['after a moment', 1, 1],
  ])('%s', async (_when, count, size) => {
    const { carrier } = await opened()
    for (let i = 0; i < count; i++) carrier.send(Buffer.alloc(size))
    expect(await carrier.next('ack')).toEqual({ kind: 'ack', number: count })
  })

  test('on the wire is what the application said, and nothing else', async () => {
    const { carrier, socket } = await opened()
    socket.send('text')
    socket.send(Buffer.from([1]))
    socket.send('\0x')
    const frames: string[] = []
    carrier.socket.on('message', (data: Buffer, isBinary) =>
      frames.push(`${isBinary} ${JSON.stringify(data.toString())}`),
    )
    for (let i = 0; i < 3; i++) await carrier.next('message')
    expect(frames).toEqual(['false "text"', 'true "\\u0001"', 'false "\\u0000\\u0000x"'])
  })
})

describe('resuming', () => {
  test('takes over from a carrier that is alive, which is told', async () => {
    const { client, carrier, socket } = await opened()
    const changes: unknown[] = []
    socket.on('transportchange', (transport) => changes.push(transport))
    const messages = messagesOf(socket)
    socket.send('one')
    await client.arrived.next()
    const second = await resume(client)
    await carrier.next('superseded')
    expect((await carrier.closed).code).toBe(1000)
    socket.send('two')
    second.send('from the client')
    expect(await client.arrived.next()).toBe('two')
    expect(await messages.next()).toBe('from the client')
    expect(changes).toEqual(['websocket'])
    expect(socket.readyState).toBe(1)
  })

  test('of a lower epoch: superseded', async () => {
    const { client, socket } = await opened()
    await resume(client)
    const late = client.webSocket({ epoch: 1 })
    await late.next('superseded')
    expect((await late.closed).code).toBe(1000)
    socket.send('still here')
    expect(await client.arrived.next()).toBe('still here')
  })

  test('what a carrier says that was superseded is not heard', async () => {
    const { client, carrier, socket } = await opened()
    const messages = messagesOf(socket)
    const second = await resume(client)
    carrier.send('late')
    second.send('in time')
    expect(await messages.next()).toBe('in time')
    expect(messages.size).toBe(0)
  })

  test('unknown, foreign and impossible ones are answered alike', async () => {
    const { client, url, socket, connections } = await opened()
    const foreign = Object.assign(new RawClient(url), { id: client.id })
    const answers = [
      new RawClient(url).webSocket(),
      foreign.webSocket(),
      foreign.webSocket({ ask: Ask.open }),
      foreign.webSocket({ ask: Ask.standby, epoch: 2 }),
      client.webSocket({ epoch: 2, has: { number: 9, offset: 0 } }),
      new RawClient(url).webSocket({ ask: Ask.open, has: { number: 9, offset: 0 } }),
    ]
    for (const answer of answers) {
      expect(await answer.said.next()).toEqual({ kind: 'abort', code: 1006, reason: 'unknown session' })
      expect((await answer.closed).code).toBe(1000)
      expect([answer.socket.protocol, answer.said.size]).toEqual(['everwire.1', 0])
    }
    expect(connections.size).toBe(0)
    expect(socket.readyState).toBe(1)
  })

  test('standing by changes nothing until it is taken', async () => {
    const { client, carrier, socket } = await opened()
    const messages = messagesOf(socket)
    socket.send('one')
    await client.arrived.next()
    client.renew()
    const second = client.webSocket({ ask: Ask.standby })
    const welcome = await second.next('welcome')
    expect(welcome.start).toBeUndefined()
    carrier.send('still by the first')
    socket.send('two')
    expect(await client.arrived.next()).toBe('two')
    expect(await messages.next()).toBe('still by the first')
    second.say({ kind: 'take', got: 1, start: 0 })
    // Repeated, because the take says that only one has come and none is acknowledged: it has been counted already.
    second.send('still by the first')
    second.send('by the second')
    await carrier.next('superseded')
    expect(await messages.next()).toBe('by the second')
    expect((await second.next('message')).data).toBe('two')
    socket.send('three')
    expect((await second.next('message')).data).toBe('three')
    expect(messages.size).toBe(0)
  })

  test('a carrier that stands by and goes away is no loss', async () => {
    const { client, socket } = await opened()
    const changes: unknown[] = []
    socket.on('transportchange', (transport) => changes.push(transport))
    client.renew()
    const second = client.webSocket({ ask: Ask.standby })
    await second.next('welcome')
    await second.cut()
    socket.send('still here')
    expect(await client.arrived.next()).toBe('still here')
    expect(changes).toEqual([])
  })

  test('nothing is lost, however often and wherever it is cut', async () => {
    const { client, carrier, socket } = await opened()
    const messages = messagesOf(socket)
    let current: RawWebSocket | undefined = carrier
    let sent = 0
    let said = 0
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 5; i++) socket.send(`server ${said++}`)
      if (current) {
        // As many as the last carrier has not brought, and some more: what is repeated is skipped.
        for (let i = client.at.number; i < sent + 5; i++) current.send(`client ${i}`)
        sent += 5
        if (round % 2 === 0) await current.next('message')
        await current.cut()
      } else {
        const from = client.at.number
        const pieces = Array.from({ length: sent + 5 - from }, (_, i) => text(`client ${from + i}`))
        sent += 5
        await client.send(pieces, { ask: Ask.again })
      }
      if (round % 3 === 2) {
        current = undefined
        client.renew()
        await client.send()
      } else current = await resume(client)
    }
    const from = client.at.number
    if (current) for (let i = from; i < sent; i++) current.send(`client ${i}`)
    else await client.send(Array.from({ length: sent - from }, (_, i) => text(`client ${from + i}`)))
    for (let i = 0; i < sent; i++) expect(await messages.next()).toBe(`client ${i}`)
    if (current === undefined && client.received.length < said) await client.poll()
    for (let i = 0; i < said; i++) expect(await client.arrived.next()).toBe(`server ${i}`)
    expect([messages.size, client.arrived.size]).toEqual([0, 0])
  })

  test('a large message that was cut in the middle comes whole', async () => {
    const { client, carrier, socket } = await opened()
    const large = Buffer.alloc(20_000_000, 'large')
    socket.send(large)
    socket.send('behind')
    await carrier.cut()
    await resume(client)
    expect(large.equals((await client.arrived.next()) as Buffer)).toBe(true)
    expect(await client.arrived.next()).toBe('behind')
  })

  test('a close that was sent while nobody was there comes with the next carrier', async () => {
    const { client, carrier, socket } = await opened()
    const lost = once(socket, 'transportchange')
    await carrier.cut()
    await lost
    expect([socket.readyState, socket.transport]).toEqual([1, null])
    socket.send('last words')
    socket.close(4000, 'bye')
    const second = await resume(client)
    expect(await client.arrived.next()).toBe('last words')
    expect(await client.arrived.next()).toEqual({ code: 4000, reason: 'bye' })
    const ended = closeOf(socket)
    second.say({ kind: 'close', code: 4000, reason: 'bye' })
    expect(await ended).toEqual({ code: 4000, reason: 'bye' })
    // Ours is still to be confirmed; until then whoever asks is told again.
    await second.cut()
    client.has = { number: 1, offset: 0 }
    await resume(client)
    expect(await client.arrived.next()).toEqual({ code: 4000, reason: 'bye' })
  })

  test('an end without a carrier comes with the next one', async () => {
    const { client, carrier, socket } = await opened()
    const lost = once(socket, 'transportchange')
    await carrier.cut()
    await lost
    const ended = closeOf(socket)
    socket.terminate()
    expect((await ended).code).toBe(1006)
    client.renew()
    expect(await client.webSocket().next('abort')).toMatchObject({ code: 1006 })
  })
})

test('patience: the application is told when it is over', async () => {
  const { client, carrier, socket } = await opened({ patience: 100 })
  const order: unknown[] = []
  socket.on('transportchange', (transport) => order.push(transport))
  const ended = closeOf(socket)
  await carrier.cut()
  expect(await ended).toMatchObject({ code: 1006 })
  expect(order).toEqual([null])
  client.renew()
  expect(await client.webSocket().next('abort')).toMatchObject({ code: 1006 })
})

test('the heartbeat is heard on a WebSocket, and an ordinary client hears none', async () => {
  const { carrier } = await opened({ heartbeat: 100 })
  await carrier.next('ping')
  await carrier.next('ping')
})

test('a client that is silent is given up, and may come back', async () => {
  const { client, carrier, socket } = await opened({ heartbeat: 100 })
  const lost = once(socket, 'transportchange')
  const { now } = performance
  let ahead = 0
  performance.now = () => now.call(performance) + ahead
  onTestFinished(() => {
    performance.now = now
  })
  await carrier.next('ping')
  ahead += 300
  await carrier.next('ping')
  ahead += 6000
  expect((await lost)[0]).toBe(null)
  await carrier.closed
  socket.send('meanwhile')
  await resume(client)
  expect(await client.arrived.next()).toBe('meanwhile')
})

test.each([
  ['has much to say is not silent', 400, 'websocket', []],
  ['says nothing is given up', 0, null, [null]],
] as const)('while the application has paused, a client that %s', async (_what, count, left, changes) => {
  const moveOn = ownServerClock()
  const { carrier, socket, url, connections } = await opened({ patience: 3_600_000 })
  const other = await plain(url)
  const { socket: echo } = await connections.next()
  echo.on('message', (data) => echo.send(data))
  socket.pause()
  const events: unknown[] = []
  socket.on('transportchange', (transport) => events.push(transport))
  const all = new Promise<void>((resolve) => {
    let heard = 0
    socket.on('message', () => ++heard === count && resolve())
  })
  for (let i = 0; i < count; i++) carrier.send('x'.repeat(32_768))
  for (let i = 0; i < 6; i++) {
    await ask(other, 'read as far as it is read?')
    await moveOn(40_000)
  }
  expect([socket.transport, events]).toEqual([left, changes])
  if (count === 0) return
  socket.resume()
  await all
})

test('an abort by the client', async () => {
  const { client, carrier, socket } = await opened()
  const ended = closeOf(socket)
  carrier.say({ kind: 'abort', code: 1006, reason: 'gone' })
  expect(await ended).toEqual({ code: 1006, reason: 'gone' })
  await carrier.closed
  client.renew()
  expect(await client.webSocket().next('abort')).toMatchObject({ reason: 'unknown session' })
})

test('a close by WebSocket frame is a lost carrier, not a lost session', async () => {
  const { client, carrier, socket } = await opened()
  const lost = once(socket, 'transportchange')
  carrier.socket.close(4000, 'of the carrier')
  expect((await lost)[0]).toBe(null)
  socket.send('still here')
  await resume(client)
  expect(await client.arrived.next()).toBe('still here')
})

test('a WebSocket that was left with much still to send is cut: that would be in the way of the next', async () => {
  const server = createServer()
  const realtime = new WebSocketServer({ server })
  onTestFinished(() => end(realtime))
  const connections: NetSocket[] = []
  server.on('connection', (connection: NetSocket) => connections.push(connection))
  const port = await listen(server)
  const came = once(realtime, 'connection') as Promise<[Socket]>
  const client = new RawClient(`http://127.0.0.1:${port}/`)
  const first = await client.openWebSocket()
  first.socket.pause()
  const [socket] = await came
  socket.send(Buffer.alloc(20_000_000))
  // Where it is before the system's buffers have it all.
  await new Promise(setImmediate)
  expect(socket.bufferedAmount).toBeGreaterThan(1_000_000)
  const cut = once(connections[0] as NetSocket, 'close')
  client.renew()
  const second = client.webSocket()
  await second.next('welcome')
  await cut
  expect((await second.next('message')).data).toHaveLength(20_000_000)
})
