// What a peer sends never throws, hangs or harms others. FUZZ_SEED replays a run; FUZZ_RUNS makes it longer.
import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { Ask } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { handshake, open } from '../support/http.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { Random } from '../support/random.ts'
import {
  binary,
  bodyOf,
  close,
  hello,
  marked,
  type Piece,
  piece,
  ping,
  pong,
  RawClient,
  text,
} from '../support/raw-client.ts'
import { type Serving, serve } from '../support/serving.ts'

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_007)
const runs = Number(process.env.FUZZ_RUNS ?? 1000)

interface Attack {
  readonly serving: Serving
  readonly random: Random
  /** Sessions to be knocked at, some of them alive. */
  readonly clients: RawClient[]
  readonly agent: Agent
}

function somePieces(random: Random): Piece[] {
  const make = [
    () => text('text'),
    () => text('ä€😀', true),
    () => binary(random.bytes(300), random.below(3) === 0),
    () => close(random.one([1000, 1005, 1006, 3000, 4999, 0, 65_535]), 'reason'),
    () => ping('ping'),
    () => pong('x'.repeat(random.below(130))),
    () => hello('a', 'b'),
    () => piece('hello', random.bytes(20)),
    () => piece('abort', random.bytes(5)),
    () => piece(random.one(['welcome', 'ticket'] as const), random.bytes(5)),
  ]
  return Array.from({ length: random.below(6) }, () => random.one(make)())
}

function someNumber(random: Random): number {
  return random.one([0, 0, 1, 1, 2, 3, 7, 1000, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER])
}

function someBody({ random, clients }: Attack): Buffer {
  if (random.below(10) === 0) return random.bytes(200)
  const client = random.one(clients)
  const position = (): { number: number; offset: number } => ({
    number: someNumber(random),
    offset: someNumber(random),
  })
  const head = client.head({
    ask: random.one([0, 1, 1, 2, 3, 4, 12, 16, 32, 33, random.below(256)]),
    epoch: random.one([client.epoch, client.epoch, someNumber(random)]),
    serial: random.one([++client.shortSerial, someNumber(random)]),
    ...(random.below(2) === 0 && { has: position() }),
    ...(random.below(2) === 0 && { at: position() }),
  })
  const body = bodyOf(head, somePieces(random))
  return random.below(2) === 0 ? body : random.mutated(body)
}

async function exchange(attack: Attack): Promise<void> {
  const { serving, random, agent } = attack
  const mark = random.below(20) === 0 ? encodeURIComponent(random.bytes(30).toString('latin1')) : '1'
  const method = random.one(['POST', 'POST', 'POST', 'POST', 'GET', 'PUT'])
  const url = marked(serving.url, mark)
  const body = someBody(attack)
  const response = await open(url, { method, body, agent })
  expect([200, 400, 404, 405, 413, 426]).toContain(response.statusCode)
  // A stream has no end of its own.
  if (response.headers['content-length'] === undefined) response.destroy()
  else {
    response.resume()
    await once(response, 'end')
  }
}

async function shakeHands({ serving, random, clients }: Attack): Promise<void> {
  const client = random.one(clients)
  const token = client.token({ ask: random.below(4), epoch: client.epoch + random.below(3) })
  const request = handshake('/realtime', {
    'Sec-WebSocket-Protocol': random.one([
      'a',
      token,
      `everwire.1, ${token}`,
      `a,${random.mutated(Buffer.from(token))}`,
    ]),
    'Sec-WebSocket-Extensions': random.one([
      undefined,
      'permessage-deflate',
      'x;;',
      random.bytes(9).toString('hex'),
    ]),
  })
  const connection = connect(serving.port, '127.0.0.1')
  connection.on('error', () => {})
  const bytes = Buffer.from(request, 'latin1')
  connection.write(random.below(2) === 0 ? bytes : random.mutated(bytes))
  if (random.below(2) === 0) for (let i = random.below(5); i > 0; i--) connection.write(someFrame(random))
  connection.end()
  connection.resume()
  await once(connection, 'close').catch(() => {})
}

function someFrame(random: Random): Buffer {
  const payload = random.one([
    () =>
      Buffer.from(
        random.one([
          'text',
          controlText('ack', '1'),
          controlText('ack', '0'),
          controlText('ping', ''),
          controlText('close', '1000,x'),
          controlText('take', '0,0'),
          controlText('abort', '1006,'),
          controlText('superseded', ''),
          '\0\0x',
          '\0',
        ]),
      ),
    () => random.bytes(125),
    () =>
      random.mutated(
        Buffer.from(controlText('close', `${random.below(6000)},${'x'.repeat(random.below(50))}`)),
      ),
  ])()
  const small = payload.subarray(0, 125)
  const first = random.one([0x81, 0x81, 0x81, 0x82, 0x88, 0x89, 0x8a, 0x01, 0x80, 0x00, random.below(256)])
  const masked = Buffer.concat([Buffer.from([first, 0x80 | small.length]), Buffer.alloc(4), small])
  return random.below(3) === 0 ? random.mutated(masked) : masked
}

async function speak({ serving, random, clients }: Attack): Promise<void> {
  const client = random.one(clients)
  client.renew()
  const ask = random.one([0, Ask.open, Ask.standby, Ask.open | Ask.standby])
  const protocol = random.below(3) === 0 ? 'a' : `everwire.1, ${client.token({ ask })}`
  const connection = connect(serving.port, '127.0.0.1')
  connection.on('error', () => {})
  connection.write(handshake('/realtime', { 'Sec-WebSocket-Protocol': protocol }))
  for (let i = 1 + random.below(20); i > 0; i--) connection.write(someFrame(random))
  connection.end()
  connection.resume()
  await once(connection, 'close').catch(() => {})
}

test(`${runs} random requests, handshakes and conversations of each kind (seed ${seed})`, async () => {
  const serving = await serve({
    heartbeat: 200,
    patience: 300,
    maxBody: 5000,
    maxPayload: 1000,
    perMessageDeflate: true,
  })
  const { realtime, url } = serving
  realtime.on('connection', (socket) => {
    socket.on('message', (data) => {
      socket.send(data as Buffer)
      socket.ping()
      socket.subscribe('all')
      socket.publish('all', data as Buffer)
    })
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  onTestFinished(() => agent.destroy())
  const random = new Random(seed)
  const clients = Array.from({ length: 20 }, () => new RawClient(url))
  const attack = { serving, random, clients, agent }
  for (let done = 0; done < runs; done += 20) {
    const all: Promise<void>[] = []
    for (let i = 0; i < 20; i++) all.push(exchange(attack), shakeHands(attack), speak(attack))
    await Promise.all(all)
    // Some sessions have ended of what they got.
    clients.splice(random.below(clients.length), 1, new RawClient(url))
    clients.splice(random.below(clients.length), 1, new RawClient(url))
  }
  const quiet: Serving = { ...serving, connections: await newcomers(serving) }
  for (const kind of peerKinds) {
    const peer = await connectPeer(quiet, kind)
    peer.send('still serving')
    expect(String(await next(peer))).toBe('still serving')
  }
})

/** Those that come from now on. */
async function newcomers(serving: Serving): Promise<Serving['connections']> {
  while (serving.connections.size > 0) await serving.connections.next()
  return serving.connections
}
