// What a peer sends never throws or hangs, and is answered as docs/PROTOCOL.md says. FUZZ_SEED replays a run.
import { expect, describe as group, test } from 'vitest'
import * as everwire from './everwire.ts'
import { bugs, plant } from './planted.ts'
import { describe, fuzz, type KindName } from './run.ts'

const runs = 100_000
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_007)

/** What so many runs must have reached, and how often at least: fuzzing that stays at the door proves nothing. */
const reached: Record<KindName, Record<string, number>> = {
  bodies: {
    'valid body': 10_000,
    'answer ok': 10_000,
    'answer superseded': 200,
    'answer unknown': 1000,
    'answer cut': 50,
    'event stream': 200,
    'status 400': 1000,
    'status 401': 50,
    'status 403': 50,
    'status 404': 50,
    'status 405': 50,
    'status 413': 50,
    'status 503': 50,
    'closed 1006': 1000,
    'closed 1013': 20,
    'closed by a client': 20,
    'fault of a peer': 500,
    message: 2000,
    paused: 100,
    ping: 200,
    shown: 1000,
  },
  frames: {
    'handshake 101': 1000,
    'handshake 400': 100,
    'handshake 403': 10,
    'handshake 426': 10,
    'close frame 1002': 200,
    'close frame 1007': 50,
    'close frame 1009': 30,
    'closed 1006': 500,
    'closed by a client': 5,
    'control abort': 200,
    'control ack': 50,
    'control close': 100,
    'control long': 10,
    'control pause': 30,
    'control pong': 100,
    'control superseded': 50,
    'control welcome': 1000,
    'answer ok': 30,
    message: 1000,
  },
  raw: {
    'status 101': 100,
    'status 200': 100,
    'status 400': 100,
    'status 404': 20,
    'status 405': 50,
    'status 426': 50,
    shown: 50,
  },
  answers: {
    'valid answer': 1000,
    'not answered': 50,
    event: 500,
    message: 1000,
    opened: 300,
    'closed 1006': 200,
    'closed by the server': 5,
  },
  controls: { message: 1000, opened: 200, 'closed 1006': 100, 'closed 1013': 5, 'closed by the server': 10 },
}

test(`${runs} runs, seed ${seed}`, { timeout: 600_000 }, async () => {
  const { counts, failure } = await fuzz(everwire, { seed, runs })
  if (failure) throw new Error(describe(seed, failure))
  const missed = Object.entries(reached).flatMap(([kind, all]) =>
    Object.entries(all).filter(([name, least]) => (counts.get(`${kind}: ${name}`) ?? 0) < least),
  )
  expect(missed).toEqual([])
})

test('the same seed goes the same way', async () => {
  const one = await fuzz(everwire, { seed: 7, runs: 500 })
  const other = await fuzz(everwire, { seed: 7, runs: 500 })
  expect(other.counts).toEqual(one.counts)
})

group('a bug that is planted is found:', () => {
  for (const bug of bugs) {
    test(bug.name, { timeout: 120_000 }, async () => {
      const altered = await plant(bug)
      const { failure } = await fuzz(altered, { seed: 1, runs: 20_000, only: bug.kind })
      expect(failure?.kind).toBe(bug.kind)
      const { kind: only, run } = failure as NonNullable<typeof failure>
      // And it can be seen again.
      expect((await fuzz(altered, { seed: 1, runs: 0, only, run })).failure?.run).toBe(run)
    })
  }
})
