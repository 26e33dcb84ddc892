import { defineConfig } from 'vitest/config'

const unit = ['unit', 'client', 'simulation'].map((folder) => `test/${folder}/**/*.test.ts`)
/** What `npm run interop` runs, and nothing else does. */
const interop = ['test/interop/**/*.interop.ts']
const browser = ['test/browsers/**/*.test.ts']

/**
 * A test that has not ended by then hangs: that is all that these numbers tell. How fast the machine is they must not tell, so they
 * are far beyond what any test takes where all work takes five times as long. A run in which tests hang still ends: each costs two
 * minutes, and three files run at a time. What is polled for gives up a little earlier than its test: then it says what it saw.
 */
const hangs = 120_000
const toldBefore = 20_000

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: hangs,
    hookTimeout: hangs,
    expect: { poll: { timeout: hangs - toldBefore, interval: 20 } },
    // On two cores, too: most files wait for timers half of the time.
    maxWorkers: 3,
    retry: 0,
    // A run in which so many failed is red: it need not wait for what hangs for the same reason.
    bail: 100,
    allowOnly: !process.env.CI,
    coverage: {
      provider: 'v8',
      include: ['{client,server,shared,events,testing,doctor,prometheus,conformance,cluster,redis}/**/*.ts'],
    },
    projects: [
      ...(process.env.EVERWIRE_INTEROP
        ? [{ extends: true as const, test: { name: 'interop', include: interop } }]
        : []),
      { extends: true, test: { name: 'unit', include: unit } },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/**/*.test.ts'], exclude: [...unit, ...browser] },
      },
      { extends: true, test: { name: 'browser', include: browser } },
    ],
  },
})
