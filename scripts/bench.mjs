// `npm run bench`: installs and builds what is missing, with the peers, and measures.
import { join } from 'node:path'
import { ensureBuilt } from './build.mjs'
import { ensureInstalled, root } from './run.mjs'

ensureInstalled()
ensureInstalled(join(root, 'bench'))
await ensureBuilt()
await import(new URL('../bench/run.mjs', import.meta.url).href)
