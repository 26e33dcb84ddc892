import { beforeAll, describe, expect, it } from 'vitest'
import { type Everwire, inTask, load } from './load.ts'
import { bugs } from './planted.ts'
import { simulate } from './run.ts'
import { scenarios } from './scenarios.ts'
import type { Counts } from './world.ts'

const runs = 2_500
const runsOfChance = 500
/** In so many runs a planted bug has shown itself; nearly all do within a few dozen. */
const runsOfBug = 1_500

let everwire: Everwire

beforeAll(async () => {
  everwire = await load()
})

function simulateAll(seed: number, runs: number): Promise<Counts> {
  return inTask(() => {
    const counts: Counts = new Map()
    for (let number = 0; number < runs; number++) {
      const { failure } = simulate(everwire, seed, number, counts)
      if (failure !== undefined) {
        throw new Error(
          `run ${number} of seed ${seed}: ${failure}\nagain: npm run simulate -- --seed ${seed} --from ${number} --runs 1 --trace`,
        )
      }
    }
    return counts
  })
}

const transports = ['websocket', 'stream', 'sse', 'polling']

/**
 * What the runs must have reached, and how often at least: a simulation that avoids the hard places proves nothing. Most of it
 * stands in the diaries that both ends write.
 */
const reached: Record<string, number> = {
  ...Object.fromEntries(Object.keys(scenarios).map((name) => [`scenario: ${name}`, 60])),
  ...Object.fromEntries(
    transports.flatMap((from) =>
      transports.filter((to) => to !== from).map((to) => [`switch: ${from} to ${to}`, 1]),
    ),
  ),
  ...Object.fromEntries(
    transports.flatMap((name) =>
      ['open', 'resume', 'doubt'].map((why) => [`client: ${name} to ${why}`, 100]),
    ),
  ),
  'client: websocket to better': 100,
  'client: stream to better': 10,
  'client: sse to better': 10,
  'client: a timer was late': 300,
  'client: ended by the client: another was first': 100,
  'client: ended by the client: closed': 1000,
  'client: ended by the client: in doubt': 50,
  'client: ended by the client: left': 20,
  'client: ended by the client: network': 5,
  'client: ended by the client: not allowed': 5,
  'client: ended by the client: not needed': 100,
  'client: ended by the client: online': 10,
  'client: ended by the client: page away': 50,
  'client: ended by the client: silent': 30,
  'client: ended by the client: timeout': 500,
  'client: ended by the client: unanswered': 10,
  'client: ended by the client: visible': 1,
  'client: ended by the client: wake': 1,
  'client: ended by the network: # No': 100,
  'client: ended by the network: Failed to fetch': 20,
  'client: ended by the network: closed #': 200,
  'client: ended by the network: held back': 200,
  'client: ended by the network: not ours': 1,
  'client: ended by the network: redirected': 1,
  'client: ended by the network: refused': 200,
  'client: ended by the network: timeout': 5,
  'client: ended by the server: closed #': 1,
  'client: ended by the server: superseded': 100,
  'client: learnt life': 10,
  'client: learnt piece': 5,
  'client: learnt quiet': 50,
  'client: learnt rest': 500,
  'client: sign away': 50,
  'client: sign back': 50,
  'client: sign leaving': 50,
  'client: sign network': 50,
  'client: sign online': 50,
  'client: sign silent': 30,
  'client: sign unanswered': 100,
  'client: sign visible': 50,
  'client: sign wake': 50,
  'client: closed 1001 page left': 50,
  'client: closed 1006 connection lost': 20,
  'client: closed 1006 message too big': 5,
  'client: closed 1006 unknown session': 50,
  'client: closed 1009 message too big': 1,
  'client: closed 1013 send buffer full': 20,
  'closing: both at once': 50,
  'closing: the carrier died': 50,
  'end: clean': 1000,
  'end: clean after all': 10,
  'end: lost': 200,
  'exchange: answer replaced': 20,
  'exchange: cut answer': 20,
  'exchange: error page': 10,
  'exchange: late answer': 20,
  'exchange: late request': 20,
  'exchange: lose answer': 20,
  'exchange: lose request': 20,
  'exchange: portal': 10,
  'exchange: redirect': 10,
  'exchange: repeat': 20,
  'exchange: too large': 50,
  'send: full': 200,
  'server: polling ended: another was taken': 50,
  'server: polling ended: answer cut': 30,
  'server: polling ended: silent': 10,
  'server: sse ended: another was taken': 50,
  'server: sse ended: answer cut': 50,
  'server: stream ended: another was taken': 100,
  'server: stream ended: answer cut': 100,
  'server: stream ended: silent': 10,
  'server: websocket ended: another was taken': 50,
  'server: websocket ended: closed #': 200,
  'server: websocket ended: silent': 20,
  'slot: denied': 30,
  'slot: given': 100,
  'snapshot: server': 50,
  'snapshot: while closing': 20,
  'snapshot: with a partial message': 10,
  'snapshot: with unacknowledged messages': 50,
  'snapshot: with undelivered events': 3,
}

/** Nothing that awaits: while it counts no timer fires, so a limit could not end it, and would only call slow what has passed. */
const work = { timeout: 0 }

describe('a client and a server on a bad network', () => {
  it(`keep every promise in ${runs} runs, in every situation that matters`, work, async () => {
    const counts = await simulateAll(1, runs)
    const table = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
    console.log(table.map(([name, count]) => `${String(count).padStart(10)}  ${name}`).join('\n'))
    const missed = Object.entries(reached)
      .map(([name, least]) => [name, counts.get(name) ?? 0, least] as const)
      .filter(([, count, least]) => count < least)
    expect(missed).toEqual([])
  })

  it('keep them under another seed each time', work, async () => {
    const seed = Number(process.env.EVERWIRE_SEED ?? Date.now() % 2 ** 31)
    console.log(`EVERWIRE_SEED=${seed}`)
    await simulateAll(seed, runsOfChance)
  })

  it('go the same way under the same seed', async () => {
    const wish = { trace: true }
    const one = await inTask(() => simulate(everwire, 7, 7, new Map(), wish))
    expect(one.trace?.length).toBeGreaterThan(10)
    await inTask(() => simulate(everwire, 7, 8, new Map()))
    expect(await inTask(() => simulate(everwire, 7, 7, new Map(), wish))).toEqual(one)
  })
})

describe('a bug that is planted is found:', () => {
  for (const bug of bugs) {
    it(bug.name, work, async () => {
      const altered = await load(bug)
      const found = await inTask(() => {
        const counts: Counts = new Map()
        for (let number = 0; number < runsOfBug; number++) {
          if (simulate(altered, 1, number, counts, bug).failure !== undefined) return true
        }
        return false
      })
      expect(found, `found in ${runsOfBug} runs`).toBe(true)
    })
  }

  it('or its snippet is no longer there, and that is said', async () => {
    const gone = { name: 'gone', file: 'shared/session.ts', snippet: 'no such text', replacement: '' }
    await expect(load(gone)).rejects.toThrow('its snippet stands 0 times in shared/session.ts')
  })
})
