// `npm run simulate -- --runs 1000000 --seed 7`: the simulation without a test runner.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('simulate', 'test/simulation/cli.ts')
