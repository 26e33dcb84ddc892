// `npm run networks`: installs what is missing, with the peers, and tests all of them in the networks of test/networks.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureInstalled, root, runGroup, runTypeScript, toolScript } from './run.mjs'
import { installTools } from './tools.mjs'

ensureInstalled()
ensureInstalled(join(root, 'bench'))
installTools()
process.chdir(root)
// Everwire alone in pages, on the networks whose answers a browser hides from other origins.
const { values } = parseArgs({
  strict: false,
  options: { only: { type: 'string' }, contestant: { type: 'string' }, json: { type: 'boolean' } },
})
if (!values.json && values.contestant === undefined) {
  const args = ['run', '--retry=0', 'test/browsers/other-origin.test.ts']
  if (values.only) args.push('-t', String(values.only))
  const { ok } = await runGroup(toolScript('vitest'), args, { EVERWIRE_NETWORKS: 'whole' })
  if (!ok) process.exitCode = 1
}
await runTypeScript('networks', 'test/networks/cli.ts')
