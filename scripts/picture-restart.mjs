// `npm run picture:restart`: simulates 10,000 clients that meet a restarted server, and draws what the server sees of them.
import { ensureInstalled, runTypeScript } from './run.mjs'

ensureInstalled()
await runTypeScript('restart', 'test/simulation/restart-cli.ts')
