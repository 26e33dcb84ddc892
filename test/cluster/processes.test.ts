// Three servers in processes of their own, with a real Redis, behind the balancers of docs/CLUSTER.md as they stand there.
import { describe, expect, test } from 'vitest'
import { needs } from '../support/tools.ts'
import type { CountingClient } from './counting-client.ts'
import { each, type NodeProcess, world } from './processes.ts'

/** The names of the sessions that this server has shown. */
const shownBy = (node: NodeProcess) => node.words.flatMap(({ shown }) => shown ?? [])

needs(['redis-server', 'nginx', 'haproxy'], 'a cluster of processes', () => {
  describe.for(['nginx', 'haproxy'] as const)('behind %s', (program) => {
    test('every request may reach any server', async () => {
      const { nodes, clients } = await world(program)
      const all = clients(20)
      await each(all, 40)
      expect(all.flatMap(({ faults }) => faults)).toEqual([])
      expect(all.map(({ events }) => events)).toEqual(all.map(() => ['open']))
      expect(nodes.flatMap(shownBy).length).toBe(20)
      for (const node of nodes) expect(shownBy(node).length).toBeGreaterThan(0)
    })
  })

  test('what is published reaches the subscribers on all servers, once and in the order of the publisher', async () => {
    const { nodes, clients } = await world('nginx')
    const all = clients(15)
    await each(all, 5)
    const news = nodes.map((_, at) => Array.from({ length: 100 }, (_, i) => `news of ${at}: ${i}`))
    for (const [at, node] of nodes.entries()) node.publish(...(news[at] as string[]))
    await Promise.all(all.map((client) => client.until(() => client.news.length === 300)))
    for (const client of all)
      for (const [at, wanted] of news.entries())
        expect(client.news.filter((one) => one.startsWith(`news of ${at}`))).toEqual(wanted)
  })

  test('a server that is killed takes its sessions with it, and its clients know soon', async () => {
    const { nodes, clients } = await world('nginx')
    const all = clients(20, 20)
    await each(all, 5)
    const [killed, ...others] = nodes as [NodeProcess, ...NodeProcess[]]
    const dead = new Set(shownBy(killed))
    const isDead = ({ session }: CountingClient) => dead.has(session)
    await killed.signal('SIGKILL')
    const at = performance.now()
    const theirs = all.filter(isDead)
    await Promise.all(theirs.map((client) => client.until(() => client.closedAt > 0)))
    const times = theirs.map(({ closedAt }) => Math.round(closedAt - at))
    console.log(`closed after ${times.sort((a, b) => a - b).join(', ')} ms`)
    expect(theirs.length).toBeGreaterThan(0)
    const rest = all.filter((client) => !isDead(client))
    await each(rest, 20)
    expect(rest.map(({ events }) => events)).toEqual(rest.map(() => ['open']))
    expect(rest.flatMap(({ faults }) => faults)).toEqual([])
    expect(others.every((node) => !node.isOver)).toBe(true)
  })

  test('a server that stands still for less than its lease loses nothing', async () => {
    const { nodes, clients } = await world('nginx', { LEASE: '30000' })
    const all = clients(15, 20)
    await each(all, 5)
    const [still] = nodes as [NodeProcess]
    const theirs = new Set(shownBy(still))
    await still.signal('SIGSTOP')
    // What is sent to it waits, and what is not goes on.
    const others = all.filter(
      ({ session, socket }) => !theirs.has(session) && socket.transport === 'websocket',
    )
    await each(others, 20)
    await still.signal('SIGCONT')
    await each(all, 40)
    expect(all.map(({ events }) => events)).toEqual(all.map(() => ['open']))
    expect(all.flatMap(({ faults }) => faults)).toEqual([])
  })

  test('while Redis is away, sessions go on; afterwards all is as before', async () => {
    const { redis, nodes, clients } = await world('nginx')
    const all = clients(15, 20)
    await each(all, 5)
    await redis.end()
    await Promise.all(nodes.map((node) => node.says(({ cluster }) => cluster === 'down')))
    nodes[0]?.publish('news of before')
    // Those that have been on their way through several servers go on: it is remembered who has what.
    await each(all, 20)
    const told = nodes.map(({ words }) => words.length)
    await redis.run()
    await Promise.all(nodes.map((node, at) => node.says(({ cluster }) => cluster === 'up', told[at])))
    nodes[1]?.publish('news of after')
    await Promise.all(all.map((client) => client.until(() => client.news.at(-1) === 'news of after')))
    await each(all, 20)
    const late = clients(5)
    await each(late, 5)
    expect(all.map(({ events }) => events)).toEqual(all.map(() => ['open']))
    expect(all.flatMap(({ faults }) => faults)).toEqual([])
  })

  test('a rolling restart of all servers, under load', async () => {
    const { nodes, clients, start } = await world('nginx', { RECOVER: 'yes' })
    const all = clients(20, 10)
    await each(all, 20)
    for (const old of [...nodes]) {
      const { port } = old
      await old.signal('SIGTERM')
      await start(port)
      await each(all, 20)
    }
    const gaps = all.map(({ longestGap }) => Math.round(longestGap)).sort((a, b) => a - b)
    console.log(`longest gaps: ${gaps.join(', ')} ms`)
    expect(all.map(({ events }) => events)).toEqual(all.map(() => ['open']))
    expect(all.flatMap(({ faults }) => faults)).toEqual([])
  })
})
