// What is sent survives what networks do: our client and our server, and between them a proxy that cuts, refuses,
// swallows, falls silent and holds back.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import type { Connection, HostileNetwork } from '../../testing/index.ts'
import { type ClientEnd, converse, Line, type ServerEnd } from '../support/line.ts'
import { ownServerClock } from '../support/server-clock.ts'

const MiB = 1_048_576
const root = fileURLToPath(new URL('../..', import.meta.url))

/** `null`: the default list. */
type Ways = readonly Transport[] | undefined
const ways: readonly (readonly [string, Ways])[] = [
  ['websocket', ['websocket']],
  ['stream', ['stream']],
  ['sse', ['sse']],
  ['polling', ['polling']],
  ['all transports', undefined],
]
const over = (transports: Ways): { transports?: readonly Transport[] } => (transports ? { transports } : {})

/** One connection, one open, one close with this code, on both sides. */
async function endsWell(
  { client, server }: { client: ClientEnd; server: ServerEnd },
  line: Line,
): Promise<void> {
  client.socket.close(4321, 'done')
  await Promise.all([client.untilClosed(), server.untilClosed()])
  expect(client.life).toEqual(['open', 'close 4321 done'])
  expect(server.life).toEqual(['close 4321 done'])
  expect(line.servers.length).toBe(1)
}

/** Afterwards the server has something of the client's in hand, so that it notices when that is cut: with polling, a poll. */
async function held(client: ClientEnd, server: ServerEnd): Promise<void> {
  server.socket.send('over what is held')
  await client.untilMessages(1)
  client.socket.send('after the next poll')
  await server.untilMessages(1)
}

/** A seed of its own each time; EVERWIRE_SEED repeats one. */
function seeded(): () => number {
  const seed = Number(process.env.EVERWIRE_SEED ?? Math.floor(Math.random() * 2 ** 31))
  onTestFailed(() => console.log(`EVERWIRE_SEED=${seed} makes the same decisions again`))
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Cuts one or all connections, before or after what is just passing through, `cuts` times. */
function cutAgainAndAgain(network: HostileNetwork, random: () => number, cuts: number): () => number {
  let done = 0
  let left = 1 + Math.floor(random() * 20)
  network.on('data', (connection) => {
    if (done === cuts || --left > 0) return
    left = 1 + Math.floor(random() * 20)
    done++
    const cut = random() < 0.5 ? () => network.cut() : () => connection.cut()
    if (random() < 0.5) cut()
    else setImmediate(cut)
  })
  return () => done
}

describe.each(ways)('over %s', (name, transports) => {
  const options = over(transports)

  test('500 messages each way, some of 1 MiB, while connections are cut again and again', async () => {
    const random = seeded()
    const line = await Line.lay()
    const ends = await line.open(options)
    const cuts = cutAgainAndAgain(line.network, random, 6)
    await converse(ends.client, ends.server, 500)
    expect(cuts()).toBe(6)
    await endsWell(ends, line)
  })

  test.each([
    ['before the server hears of it at all', 'to server'],
    ['when its first answer is lost', 'to client'],
  ] as const)('cut %s: the application sees one client all the same', async (_when, direction) => {
    const line = await Line.lay()
    const cut = line.next(direction, (connection) => connection.cut())
    const client = line.connect(options)
    await cut
    if (name === 'websocket') {
      // As any WebSocket: there is nothing yet that could be resumed.
      await client.untilClosed()
      expect(client.life[0]).toBe('error')
      return
    }
    await client.untilEvent('open')
    await line.arrived(1)
    const ends = { client, server: line.servers[0] as ServerEnd }
    await converse(client, ends.server, 20)
    await endsWell(ends, line)
  })

  test.each(['to server', 'to client'] as const)(
    'cut in the middle of a message of 1 MiB, %s',
    async (direction) => {
      const line = await Line.lay()
      const ends = await line.open(options)
      const [from, to] = direction === 'to server' ? [ends.client, ends.server] : [ends.server, ends.client]
      const before = new Map<Connection, number>()
      const cut = line.next(
        direction,
        () => line.network.cut(),
        (connection) => {
          const passed = connection.passed[direction]
          if (!before.has(connection)) before.set(connection, passed)
          return passed - (before.get(connection) ?? 0) > 150_000
        },
      )
      from.socket.send('before')
      from.socket.send('x'.repeat(MiB))
      from.socket.send('after')
      await cut
      await to.untilMessages(3)
      expect(to.messages.map((message) => message.length)).toEqual([6, MiB, 5])
      await endsWell(ends, line)
    },
  )

  test.each(['to server', 'to client'] as const)(
    'what goes %s after a message is lost: it arrives once',
    async (direction) => {
      const line = await Line.lay()
      const ends = await line.open(options)
      await converse(ends.client, ends.server, 10)
      const cut = line.next(direction, () => line.network.cut())
      ends.client.socket.send('once')
      ends.server.socket.send('once')
      await cut
      await Promise.all([ends.client.untilMessages(11), ends.server.untilMessages(11)])
      expect([ends.client.messages[10], ends.server.messages[10]]).toEqual(['once', 'once'])
      await converse(ends.client, ends.server, 10)
      await endsWell(ends, line)
    },
  )

  test.each([
    ['client', 'to server'],
    ['client', 'to client'],
    ['server', 'to server'],
    ['server', 'to client'],
  ] as const)('the %s closes and what goes %s is lost: the code arrives', async (who, direction) => {
    const line = await Line.lay()
    const { client, server } = await line.open(options)
    await converse(client, server, 10)
    const cut = line.next(direction, () => line.network.cut())
    const [closing, other] = who === 'client' ? [client, server] : [server, client]
    closing.socket.send('last')
    closing.socket.close(4567, 'λ')
    await cut
    await Promise.all([client.untilClosed(), server.untilClosed()])
    expect(client.life).toEqual(['open', 'close 4567 λ'])
    expect(server.life).toEqual(['close 4567 λ'])
    expect(other.messages.at(-1)).toBe('last')
  })

  test('patience runs out: both ends see 1006 once', async () => {
    const line = await Line.lay({ patience: 400 })
    const { client, server } = await line.open(options)
    await held(client, server)
    line.network.set({ connections: 'refuse' })
    line.network.cut()
    client.socket.send('never arrives')
    await Promise.all([client.untilClosed(), server.untilClosed()])
    expect(client.life).toEqual(['open', 'close 1006 connection lost'])
    expect(server.life).toEqual(['close 1006 connection lost'])
    expect(client.transports.at(-1)).toBe(null)
  })

  test('a server that was restarted does not know the session: 1006, and it says so', async () => {
    const line = await Line.lay()
    const { client, server } = await line.open(options)
    await converse(client, server, 10)
    await line.restart()
    await client.untilClosed()
    expect(client.life).toEqual(['open', 'close 1006 unknown session'])
    expect(line.servers.length).toBe(1)
    const next = await line.open(options)
    await converse(next.client, next.server, 10)
  })

  test('five clients at once, cut together: each keeps its own messages', async () => {
    const random = seeded()
    const line = await Line.lay()
    const clients = Array.from({ length: 5 }, () => line.connect(options))
    await Promise.all(clients.map((client) => client.untilEvent('open')))
    await line.arrived(5)
    for (const [i, client] of clients.entries()) client.socket.send(`I am ${i}`)
    await Promise.all(line.servers.map((server) => server.untilMessages(1)))
    cutAgainAndAgain(line.network, random, 3)
    await Promise.all(
      clients.map((client, i) => {
        const server = line.servers.find(({ messages }) => messages[0] === `I am ${i}`)
        return converse(client, server as ServerEnd, 50)
      }),
    )
    expect(line.servers.length).toBe(5)
    for (const client of clients) expect(client.life).toEqual(['open'])
  })
})

// Silence shows by time alone, so all wait together.
test('silence: connections are noticed and left; where all is silent, patience runs out', async () => {
  const short = { heartbeat: 200 }
  const left = ways.map(async ([, transports]) => {
    const line = await Line.lay(short)
    const ends = await line.open({ ...over(transports), connectTimeout: 3000 })
    await converse(ends.client, ends.server, 10)
    line.network.silence()
    await converse(ends.client, ends.server, 10)
    await endsWell(ends, line)
  })
  const lost = ways.map(async ([, transports]) => {
    // Enough for a busy machine to open it, and then nothing comes any more.
    const line = await Line.lay({ ...short, patience: 3000 })
    const { client, server } = await line.open({ ...over(transports), connectTimeout: 3000 })
    await held(client, server)
    line.network.set({ connections: 'swallow' })
    line.network.silence()
    await Promise.all([client.untilClosed(), server.untilClosed()])
    expect(client.life).toEqual(['open', 'close 1006 connection lost'])
    expect(server.life).toEqual(['close 1006 connection lost'])
  })
  await Promise.all([...left, ...lost])
})

describe('the way is blocked for WebSockets', () => {
  test('refused: the next transport opens at once; allowed again: it moves to WebSocket, without a gap', async () => {
    const line = await Line.lay()
    line.network.set({ upgrade: 403 })
    const handshakes = countHandshakes(line.network)
    const ends = await line.open({ raceDelay: 10_000 })
    const { client, server } = ends
    expect(client.socket.transport).toBe('stream')
    expect(handshakes()).toBe(1)
    await converse(client, server, 50)
    line.network.clear()
    const conversing = talkUntil(ends, () => client.socket.transport === 'websocket')
    await client.untilEvent('transport websocket')
    await conversing
    expect(client.transports).toEqual(['stream', 'websocket'])
    await server.untilEvent('transport websocket')
    expect(server.events.filter((event) => event.includes('null'))).toEqual([])
    await endsWell(ends, line)
  })

  test('swallowed: the next transport is tried beside it; allowed again: it moves to WebSocket', async () => {
    const line = await Line.lay()
    line.network.set({ upgrade: 'swallow' })
    const ends = await line.open({ raceDelay: 50 })
    expect(ends.client.socket.transport).toBe('stream')
    await converse(ends.client, ends.server, 50)
    line.network.clear()
    await talkUntil(ends, () => ends.client.socket.transport === 'websocket')
    expect(ends.client.transports).toEqual(['stream', 'websocket'])
    await converse(ends.client, ends.server, 50)
    await endsWell(ends, line)
  })

  test.each(['stream', 'sse', 'polling'] as const)(
    'from %s to WebSocket while both ends talk',
    async (lower) => {
      const line = await Line.lay()
      line.network.set({ upgrade: 503 })
      const ends = await line.open({ transports: ['websocket', lower] })
      expect(ends.client.socket.transport).toBe(lower)
      line.network.clear()
      await talkUntil(ends, () => ends.client.socket.transport === 'websocket')
      expect(ends.client.transports).toEqual([lower, 'websocket'])
      await endsWell(ends, line)
    },
  )

  test('WebSocket is lost and then refused: it goes on over the next, with what was under way', async () => {
    const line = await Line.lay()
    // So the next one has no other beside it, however busy the machine is.
    const ends = await line.open({ raceDelay: 10_000 })
    expect(ends.client.socket.transport).toBe('websocket')
    await converse(ends.client, ends.server, 10)
    line.network.set({ upgrade: 403 })
    line.network.cut()
    await converse(ends.client, ends.server, 50)
    expect(ends.client.transports).toEqual(['websocket', null, 'stream'])
    await endsWell(ends, line)
  })

  test('and answers are held back until they are whole: it ends with polling, and nothing is lost', async () => {
    const line = await Line.lay()
    line.network.set({ upgrade: 403, buffer: true })
    const ends = await line.open()
    await converse(ends.client, ends.server, 50)
    await ends.client.until(() => ends.client.socket.transport === 'polling')
    await converse(ends.client, ends.server, 50)
    await endsWell(ends, line)
  })

  test('a slow network: what was tried beside it does not make two clients of one', async () => {
    const line = await Line.lay()
    line.network.set({ delay: 60 })
    const ends = await line.open({ raceDelay: 20 })
    await converse(ends.client, ends.server, 30)
    line.network.cut()
    await converse(ends.client, ends.server, 30)
    line.network.clear()
    await endsWell(ends, line)
  })

  test('refused and then lost again and again: the list is gone through, the session lives', async () => {
    const random = seeded()
    const line = await Line.lay()
    line.network.set({ upgrade: 403 })
    const ends = await line.open()
    cutAgainAndAgain(line.network, random, 4)
    await converse(ends.client, ends.server, 200)
    await endsWell(ends, line)
  })
})

describe('a client that is gone', () => {
  beforeAll(ensureBuilt)

  test.each(ways)(
    'its process is killed, over %s: the server sees 1006 after its patience',
    async (_name, transports) => {
      const patience = 60_000
      const moveOn = ownServerClock()
      const line = await Line.lay({ patience })
      const child = startClient(line.url, transports)
      await line.arrived(1)
      const server = line.servers[0] as ServerEnd
      server.socket.send('over what is held')
      await server.untilMessages(1)
      child.kill('SIGKILL')
      await server.until(() => server.socket.transport === null)
      expect(server.life).toEqual([])
      await moveOn(patience)
      await server.untilClosed()
      expect(server.life).toEqual(['close 1006 connection lost'])
      expect(server.messages).toEqual(['here I am'])
    },
  )
})

function startClient(url: string, transports: Ways): ChildProcess {
  const program = `
    import { WebSocket } from ${JSON.stringify(pathToFileURL(`${root}/dist/client/node.js`).href)}
    const socket = new WebSocket(${JSON.stringify(url)}, ${JSON.stringify(over(transports))})
    socket.onmessage = () => socket.send('here I am')`
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' })
}

function countHandshakes(network: HostileNetwork): () => number {
  let count = 0
  network.on('request', (_connection, _line, isWebSocket) => {
    if (isWebSocket) count++
  })
  return () => count
}

/** Goes on talking until that is so. */
async function talkUntil(
  { client, server }: { client: ClientEnd; server: ServerEnd },
  so: () => boolean,
): Promise<void> {
  do await converse(client, server, 20)
  while (!so())
  await converse(client, server, 20)
}
