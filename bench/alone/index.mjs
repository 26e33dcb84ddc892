// Servers alone: before load clients that cost next to nothing, so that a server is measured and not its client.
import { armour } from './armour.mjs'
import { echo } from './echo.mjs'
import { idle } from './idle.mjs'
import { Measure } from './measure.mjs'
import { polling } from './polling.mjs'
import { publish } from './publish.mjs'

export const alone = [echo, polling, publish, idle, armour].map(({ name, run }) => ({
  name,
  async run(runner) {
    const measure = new Measure(runner)
    try {
      return await run(runner, measure)
    } finally {
      await measure.stop()
    }
  },
}))
