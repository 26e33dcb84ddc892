// `npm run networks`: installs what is missing, the peers too, and sends all of them through the networks of test/networks.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './run.mjs'
import { installTools } from './tools.mjs'

ensureInstalled()
ensureInstalled(join(root, 'bench'))
installTools()
process.chdir(root)
const { build } = await import('esbuild')
const outfile = join(root, 'node_modules', '.cache', 'everwire', 'networks.mjs')
await build({
  absWorkingDir: root,
  entryPoints: ['test/networks/cli.ts'],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
})
process.setSourceMapsEnabled(true)
await import(pathToFileURL(outfile).href)
