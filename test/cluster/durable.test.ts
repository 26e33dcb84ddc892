// The durable mode with real processes and a real Redis: servers are killed under load, and no client notices.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { type RoundRobin, roundRobin } from '../support/round-robin.ts'
import { needs } from '../support/tools.ts'
import { CountingClient } from './counting-client.ts'
import { type NodeProcess, type Servers, servers } from './processes.ts'

const script = fileURLToPath(new URL('durable-node.mjs', import.meta.url))
const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

interface World extends Servers {
  readonly balancer: RoundRobin
  client(ways: readonly Transport[] | undefined, every?: number, inFlight?: number): CountingClient
}

async function world(count = 3, env: Record<string, string> = {}): Promise<World> {
  const { redis, nodes, start } = await servers(count, env, script)
  const balancer = await roundRobin(nodes.map(({ port }) => port))
  onTestFinished(() => balancer.close())
  const { url } = balancer
  const client = (ways: readonly Transport[] | undefined, every?: number, inFlight?: number) => {
    const made = new CountingClient(url, ways, every, inFlight)
    onTestFailed(() => console.log(made.events, made.faults, made.echoed.length, made.socket.diary))
    onTestFinished(() => made.socket.terminate())
    return made
  }
  return { redis, nodes, balancer, start, client }
}

/** The numbers that the applications were told of this session, server by server. */
const toldBy = (nodes: readonly NodeProcess[], session: string) =>
  nodes.map(({ words }) => words.flatMap(({ told, of }) => (of === session && told ? [told] : [])))

/** Resolves when the server has answered a ping. */
function pong(socket: CountingClient['socket']): Promise<unknown> {
  const answered = once(socket, 'pong')
  socket.ping()
  return answered
}

needs(['redis-server'], 'a durable cluster', () => {
  describe.for(transports)('over %s', (transport) => {
    test('servers are killed under load, and nothing is lost', async () => {
      const { nodes, client, start } = await world()
      const inFlight = 16
      const clients = [client([transport], 5, inFlight), client([transport], 5, inFlight)]
      const restarted: Promise<NodeProcess>[] = []
      for (let round = 0; round < 3; round++) {
        await Promise.all(clients.map((one) => one.hears(60)))
        const alive = nodes.filter(({ isOver }) => !isOver)
        const last = (node: NodeProcess) => node.words.findLastIndex(({ told }) => told !== undefined)
        const owner = alive.find((node) => last(node) >= 0) as NodeProcess
        await owner.signal('SIGKILL')
        restarted.push(start(owner.port))
      }
      await Promise.all(clients.map((one) => one.hears(60)))
      await Promise.all(restarted)
      for (const one of clients) {
        expect(one.events).toEqual(['open'])
        expect(one.faults).toEqual([])
        // What the application sees again is what had not been stored: of what was in flight, and under its number.
        const told = toldBy(nodes, one.session).filter((numbers) => numbers.length > 0)
        const all = told.flat()
        expect(new Set(all).size).toBe(Math.max(...all))
        for (const numbers of told)
          expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] as number) + at))
        expect(all.length - new Set(all).size).toBeLessThanOrEqual(inFlight * (told.length - 1))
      }
      expect(
        clients.some((one) => toldBy(nodes, one.session).filter(({ length }) => length > 0).length > 1),
      ).toBe(true)
    })
  })

  test('a server that stood still for longer than its lease says nothing more for its sessions', async () => {
    const { nodes, balancer, client } = await world(3, { LEASE: '600' })
    const clients = transports.map((transport) => client([transport], 5, 4))
    await Promise.all(clients.map((one) => one.hears(20)))
    const still = nodes.find(({ words }) => words.some(({ told }) => told)) as NodeProcess
    const theirs = clients.filter(({ session }) => still.words.some(({ of }) => of === session))
    await still.signal('SIGSTOP')
    // As a balancer does that looks after its servers.
    const { targets } = balancer
    balancer.targets = targets.filter((port) => port !== still.port)
    // They go on at other servers while it stands still.
    await Promise.all(clients.map((one) => one.hears(40)))
    const word = still.words.length
    await still.signal('SIGCONT')
    balancer.targets = targets
    await Promise.all(theirs.map(({ session }) => still.says(({ closed }) => closed === session, word)))
    await Promise.all(clients.map((one) => one.hears(40)))
    expect(theirs.length).toBeGreaterThan(0)
    expect(clients.map(({ events }) => events)).toEqual(clients.map(() => ['open']))
    expect(clients.flatMap(({ faults }) => faults)).toEqual([])
  })

  test('while Redis is away nothing is acknowledged or answered; afterwards all goes on', async () => {
    const { redis, nodes, client } = await world(2)
    const clients = transports.map((transport) => client([transport], 5, 4))
    await Promise.all(clients.map((one) => one.hears(20)))
    await redis.end()
    await Promise.all(nodes.map((node) => node.says(({ cluster }) => cluster === 'down')))
    const told = nodes.map(({ words }) => words.length)
    // A WebSocket answers pings meanwhile; over HTTP a server that cannot take messages takes none.
    const beat = () => pong((clients[0] as CountingClient).socket)
    // What was stored before has come by then.
    for (const until = performance.now() + 500; performance.now() < until; ) await beat()
    const answers = clients.map(({ echoed }) => echoed.length)
    // For longer than a client waits for an acknowledgement before it doubts its carrier.
    for (const until = performance.now() + 3_000; performance.now() < until; ) await beat()
    expect(clients.map(({ echoed }) => echoed.length)).toEqual(answers)
    await redis.run()
    await Promise.all(nodes.map((node, at) => node.says(({ cluster }) => cluster === 'up', told[at])))
    await Promise.all(clients.map((one) => one.hears(40)))
    expect(clients.map(({ events }) => events)).toEqual(clients.map(() => ['open']))
    expect(clients.flatMap(({ faults }) => faults)).toEqual([])
    // All is stored again, though Redis came back empty.
    for (const node of [...nodes]) {
      if (clients.every(({ session }) => node.words.every(({ of }) => of !== session))) continue
      await node.signal('SIGKILL')
      break
    }
    await Promise.all(clients.map((one) => one.hears(40)))
    expect(clients.map(({ events }) => events)).toEqual(clients.map(() => ['open']))
    expect(clients.flatMap(({ faults }) => faults)).toEqual([])
  })

  test('what is published while a server is dead comes to its clients from the history, once and in order', async () => {
    const { nodes, client } = await world(2)
    const clients = transports.map((transport) => client([transport], 5))
    await Promise.all(clients.map((one) => one.hears(20)))
    const [dies, lives] = nodes as [NodeProcess, NodeProcess]
    const news = Array.from({ length: 60 }, (_, at) => `news ${at}`)
    lives.publish(...news.slice(0, 20))
    await Promise.all(clients.map((one) => one.until(() => one.news.length === 20)))
    lives.publish(...news.slice(20, 40))
    await dies.signal('SIGKILL')
    lives.publish(...news.slice(40))
    await Promise.all(clients.map((one) => one.until(() => one.news.length === 60)))
    await Promise.all(clients.map((one) => one.hears(20)))
    for (const one of clients) expect(one.news).toEqual(news)
    expect(clients.map(({ events }) => events)).toEqual(clients.map(() => ['open']))
    expect(clients.flatMap(({ faults }) => faults)).toEqual([])
  })

  test('Redis runs at most one command for each session and turn', async () => {
    const { redis, client, nodes } = await world(1)
    const calls = async (name: string): Promise<number> =>
      Number(
        new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(await redis.admin.info('commandstats'))?.[1] ?? 0,
      )
    const one = client(['websocket'], 0, 16)
    await one.hears(100)
    const [scripts, before] = [await calls('evalsha'), one.echoed.length]
    await one.hears(3_200)
    const [all, count] = [(await calls('evalsha')) - scripts, one.echoed.length - before]
    // A turn is what came in one piece, and the client answers 16 at a time in one. Beats and the like are few.
    console.log(`${all} commands for ${count} messages`)
    expect(all).toBeLessThan(count / 4)
    expect(nodes).toHaveLength(1)
  })
})
