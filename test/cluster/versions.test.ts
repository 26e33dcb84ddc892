// A rolling upgrade: servers of two builds in one cluster, under load.
import { expect, test } from 'vitest'
import { needs } from '../support/tools.ts'
import type { CountingClient } from './counting-client.ts'
import { each, type NodeProcess, world } from './processes.ts'
import { buildOf, laterMajor, laterMinor } from './versions.ts'

const faultsOf = (clients: readonly CountingClient[]) => clients.flatMap(({ faults }) => faults)

needs(['redis-server', 'nginx'], 'a rolling upgrade', () => {
  test('to a later minor version, and back: sessions, messages and topics go on', async () => {
    const { nodes, clients, start } = await world('nginx', { RECOVER: 'yes' })
    const later = buildOf(laterMinor)
    const all = clients(15, 10)
    await each(all, 10)
    const said: string[] = []
    const running = [...nodes]
    const publishOnAll = async (): Promise<void> => {
      for (const node of running) {
        said.push(`news ${said.length}`)
        node.publish(said.at(-1) as string)
        await Promise.all(all.map((client) => client.until(() => client.news.length === said.length)))
      }
    }
    const replace = async (at: number, script?: string): Promise<void> => {
      const old = running[at] as NodeProcess
      await old.signal('SIGTERM')
      running[at] = await start(old.port, script)
      await each(all, 10)
      await publishOnAll()
    }
    await publishOnAll()
    for (const at of running.keys()) await replace(at, later)
    await replace(0)
    expect(all.map(({ events }) => events)).toEqual(all.map(() => ['open']))
    expect(faultsOf(all)).toEqual([])
    for (const { news } of all) expect(news).toEqual(said)
  })

  test('to another major version: sessions end with their servers, and nothing comes twice or out of order', async () => {
    const { nodes, clients, start } = await world('nginx', { RECOVER: 'yes' })
    const later = buildOf(laterMajor)
    const all = clients(10, 20)
    await each(all, 10)
    const mixed: CountingClient[] = []
    for (const [at, old] of [...nodes].entries()) {
      await old.signal('SIGTERM')
      const next = await start(old.port, later)
      if (at === 0) {
        // Sessions are opened and go on while there are servers of both.
        mixed.push(...clients(5, 20))
        next.publish('news that the others cannot read')
        await nodes[1]?.says(({ gap }) => gap === 'news')
      }
      for (const one of at < 2 ? mixed : []) {
        const wanted = one.echoed.length + 5
        await one.until(() => one.echoed.length >= wanted || one.closedAt > 0)
      }
    }
    await Promise.all(all.map((client) => client.until(() => client.closedAt > 0)))
    for (const { events } of all) expect(events).toEqual(['open', expect.stringMatching(/^close 1006 /)])
    const late = clients(5)
    await each(late, 20)
    expect(late.map(({ events }) => events)).toEqual(late.map(() => ['open']))
    expect(faultsOf([...all, ...mixed, ...late])).toEqual([])
  })
})
