// `npm run simulate -- --runs 1000000 --seed 7`: the simulation without a test runner around it.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './run.mjs'

ensureInstalled()
const { build } = await import('esbuild')
const outfile = join(root, 'node_modules', '.cache', 'everwire', 'simulate.mjs')
await build({
  absWorkingDir: root,
  entryPoints: ['test/simulation/cli.ts'],
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
