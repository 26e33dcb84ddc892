// The durable mode with real processes and a real Redis: servers are killed under load, and no client notices.
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { RedisServer } from '../support/redis.ts'
import { type RoundRobin, roundRobin } from '../support/round-robin.ts'
import { needs } from '../support/tools.ts'
import { CountingClient } from './counting-client.ts'
import { NodeProcess } from './processes.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

interface World {
  readonly redis: RedisServer
  readonly nodes: NodeProcess[]
  readonly balancer: RoundRobin
  start(port?: number): Promise<NodeProcess>
  client(ways: readonly Transport[] | undefined, every?: number, inFlight?: number): CountingClient
}

async function world(count = 3, env: Record<string, string> = {}): Promise<World> {
  await ensureBuilt()
  const redis = await RedisServer.start()
  onTestFinished(() => redis.stop())
  const nodes: NodeProcess[] = []
  onTestFinished(async () => {
    for (const node of nodes) if (!node.isOver) await node.signal('SIGKILL')
  })
  const start = async (port = 0): Promise<NodeProcess> => {
    const node = await NodeProcess.start({ REDIS: redis.url, PORT: `${port}`, ...env }, 'durable-node.mjs')
    nodes.push(node)
    return node
  }
  for (let i = 0; i < count; i++) await start()
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

const owns = (node: NodeProcess, { session }: CountingClient) => toldBy([node], session)[0]?.length

needs(['redis-server'], 'a durable cluster', () => {
  describe.for(transports)('over %s', (transport) => {
    test('servers are killed under load, and nothing is lost', async () => {
      const { nodes, client, start } = await world()
      const inFlight = 16
      const clients = [client([transport], 5, inFlight), client([transport], 5, inFlight)]
      for (let round = 0; round < 3; round++) {
        await Promise.all(clients.map((one) => one.hears(100)))
        const alive = nodes.filter(({ isOver }) => !isOver)
        const last = (node: NodeProcess) => node.words.findLastIndex(({ told }) => told !== undefined)
        const owner = alive.find((node) => last(node) >= 0) as NodeProcess
        await owner.signal('SIGKILL')
        await start(owner.port)
      }
      await Promise.all(clients.map((one) => one.hears(100)))
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
})
void owns
