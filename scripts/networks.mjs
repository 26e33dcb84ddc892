// `npm run networks`: installs what is missing, with the peers, and tests all of them in the networks of test/networks;
// with --cluster everwire on one server and on three.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt } from './build.mjs'
import { ensureInstalled, root, runGroup, runTypeScript, toolScript } from './run.mjs'
import { installTools } from './tools.mjs'

const { values } = parseArgs({
  strict: false,
  options: {
    only: { type: 'string' },
    contestant: { type: 'string' },
    json: { type: 'boolean' },
    cluster: { type: 'boolean' },
  },
})
ensureInstalled()
if (values.cluster) await ensureBuilt()
else ensureInstalled(join(root, 'bench'))
installTools()
process.chdir(root)
// Everwire alone in pages, on the networks whose answers a browser hides from other origins.
if (!values.json && !values.cluster && values.contestant === undefined) {
  const args = ['run', '--retry=0', 'test/browsers/other-origin.test.ts']
  if (values.only) args.push('-t', String(values.only))
  const { ok } = await runGroup(toolScript('vitest'), args, { EVERWIRE_NETWORKS: 'whole' })
  if (!ok) process.exitCode = 1
}
await runTypeScript('networks', 'test/networks/cli.ts')
