// Servers of one cluster behind a balancer that sends each request anywhere, and everything that may happen to them.
import { beforeAll, describe, expect, it } from 'vitest'
import { type Clustered, loadCluster } from './cluster/load.ts'
import { bugs } from './cluster/planted.ts'
import { simulateCluster } from './cluster/run.ts'
import { names } from './cluster/scenarios.ts'
import { inTask } from './load.ts'
import type { Counts } from './world.ts'

const runs = 200
const runsOfChance = 20
/** In so many runs of its scenario a planted bug has shown itself. */
const runsOfBug = 150

let clustered: Clustered

beforeAll(async () => {
  clustered = await loadCluster()
})

function simulateAll(seed: number, runs: number): Promise<Counts> {
  return inTask(() => {
    const counts: Counts = new Map()
    for (let number = 0; number < runs; number++) {
      const { failure } = simulateCluster(clustered, seed, number, counts)
      if (failure !== undefined)
        throw new Error(
          `run ${number} of seed ${seed}: ${failure}\nagain: npm run simulate -- --cluster --seed ${seed} --from ${number} --runs 1 --trace`,
        )
    }
    return counts
  })
}

/** Each kind of accident, each answer of the store, and each way that a request may go: so often at least. */
const reached: Record<string, number> = {
  'accident: … nor the store': 1,
  'accident: a command is lost': 10,
  'accident: a command is lost while draining': 5,
  'accident: a delivery goes wrong': 10,
  'accident: a machine without power': 5,
  'accident: a replica takes over that lacks a hand-over': 2,
  'accident: an owner is lost while it opens': 5,
  'accident: commands arrive late': 5,
  'accident: cut off for more than a lease': 2,
  'accident: cut off from the store': 2,
  'accident: drained': 20,
  'accident: drained, and nobody goes on': 5,
  'accident: killed': 5,
  'accident: killed in the moment in which it goes on': 2,
  'accident: passes arrive late': 3,
  'accident: paused for less than a lease': 3,
  'accident: paused for more than a lease': 5,
  'accident: the answer to a command is lost': 5,
  'accident: two servers cannot reach each other': 2,
  'claim: another was first': 5,
  'claim: handed over': 20,
  'claim: mine': 50,
  'claim: took over from the dead': 1,
  'end: 1006 unknown session': 10,
  'end: 1012 ': 2,
  'end: clean': 50,
  'engine: down': 20,
  'engine: fresh': 10,
  'engine: up': 10,
  'exchange: an old request comes again': 5,
  'handed over: waits': 20,
  'history: a gap': 5,
  'history: read': 20,
  'keep: lost some': 1,
  'renew: has all': 5,
  'kill: told in time': 3,
  'node: is dead': 10,
  'node: lives': 50,
  'owner: a node': 50,
  'owner: ended': 1,
  'owner: nobody': 1,
  'owner: waiting': 10,
  'pass: 200': 50,
  'pass: 421 not here': 5,
  'pass: WebSocket': 5,
  'pass: a kept connection ended': 3,
  'pass: for it to go on': 1,
  'pass: reads on': 20,
  'pass: refused': 20,
  'route: local': 100,
  'session: fenced': 1,
  'session: recovered': 20,
  'session: two applications for a moment': 1,
  'topics: gap': 10,
  ...Object.fromEntries(names.map((name) => [`scenario: ${name}`, 5])),
}

/** Nothing that awaits: while it counts no timer fires, so a limit could not end it, and would only call slow what has passed. */
const work = { timeout: 0 }

describe('servers of a cluster and their clients', () => {
  it(`keep every promise in ${runs} runs, in every situation that matters`, work, async () => {
    const counts = await simulateAll(5, runs)
    const table = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
    console.log(table.map(([name, count]) => `${String(count).padStart(10)}  ${name}`).join('\n'))
    const missed = Object.entries(reached)
      .map(([name, least]) => [name, counts.get(name) ?? 0, least] as const)
      .filter(([, count, least]) => count < least)
    expect(missed).toEqual([])
  })

  it('keep them under another seed', work, async () => {
    const seed = Number(process.env.EVERWIRE_SEED ?? 2)
    console.log(`EVERWIRE_SEED=${seed}`)
    await simulateAll(seed, runsOfChance)
  })

  it('go the same way under the same seed', async () => {
    const wish = { trace: true }
    const one = await inTask(() => simulateCluster(clustered, 7, 7, new Map(), wish))
    expect(one.trace?.length).toBeGreaterThan(10)
    for (let other = 8; other < 12; other++)
      await inTask(() => simulateCluster(clustered, 7, other, new Map()))
    expect(await inTask(() => simulateCluster(clustered, 7, 7, new Map(), wish))).toEqual(one)
  })
})

describe('a bug that is planted is found:', () => {
  for (const bug of bugs) {
    it(bug.name, work, async () => {
      const altered = await loadCluster(bug)
      const found = await inTask(() => {
        const counts: Counts = new Map()
        for (let number = 0; number < runsOfBug; number++)
          if (simulateCluster(altered, 1, number, counts, bug).failure !== undefined) return true
        return false
      })
      expect(found, `found in ${runsOfBug} runs`).toBe(true)
    })
  }
})
