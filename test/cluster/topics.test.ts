import { describe, expect, it } from 'vitest'
import { withBug } from '../support/plant.ts'
import { bugs } from './planted.ts'
import { simulate, weathers } from './world.ts'

const runs = Number(process.env.EVERWIRE_RUNS ?? 150)
const runsForBugs = 400

/** Nothing that awaits: while it counts no timer fires. */
const work = { timeout: 0 }

describe('a bug planted into a copy is found', () => {
  it.each(bugs)('$name', work, async (bug) => {
    const world = await withBug<typeof import('./world.ts')>('test/cluster/world.ts', bug)
    const weather = world.weathers.find(({ name }) => name === bug.weather)!
    let found: string | undefined
    let seed = 0
    while (!found && seed < runsForBugs) {
      seed++
      await world.simulate(seed, weather).catch((error: Error) => {
        found = error.message
      })
    }
    console.log(bug.name, '=>', found)
    expect(found, bug.name).toBeDefined()
  })
})
