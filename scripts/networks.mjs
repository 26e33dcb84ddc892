// `npm run networks`: installs what is missing, with the peers, and tests all of them in the networks of test/networks.
import { join } from 'node:path'
import { ensureInstalled, root, runTypeScript } from './run.mjs'
import { installTools } from './tools.mjs'

ensureInstalled()
ensureInstalled(join(root, 'bench'))
installTools()
process.chdir(root)
await runTypeScript('networks', 'test/networks/cli.ts')
