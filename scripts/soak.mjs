// `npm run soak -- --sessions 5000 --minutes 120`: many sessions on every transport for hours; all messages are numbered.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('soak', 'test/soak/cli.ts')
