// `npm run fuzz -- --runs 10000000 --seed 7`: the fuzz tests without a test runner.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('fuzz', 'test/fuzz/cli.ts')
