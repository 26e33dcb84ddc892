// `npm run soak -- --sessions 5000 --minutes 120`: sessions over every transport for hours, each message numbered both ways.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('soak', 'test/soak/cli.ts')
