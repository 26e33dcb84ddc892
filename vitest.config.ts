import { defineConfig } from 'vitest/config'

const unit = ['test/unit/**/*.test.ts', 'test/simulation/**/*.test.ts']
/** What `npm run interop` runs, and nothing else does. */
const interop = ['test/interop/**/*.interop.ts']
const browser = ['test/browsers/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    allowOnly: !process.env.CI,
    coverage: { provider: 'v8', include: ['{client,server,shared,testing,doctor}/**/*.ts'] },
    projects: [
      ...(process.env.EVERWIRE_INTEROP
        ? [{ extends: true as const, test: { name: 'interop', include: interop } }]
        : []),
      { extends: true, test: { name: 'unit', include: unit } },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/**/*.test.ts'],
          exclude: [...unit, ...browser],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: { name: 'browser', include: browser, testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
})
