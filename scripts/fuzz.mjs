// `npm run fuzz -- --runs 10000000 --seed 7`: the fuzzing without a test runner around it.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('fuzz', 'test/fuzz/cli.ts')
