// All fast checks in one command: format and lint, types of every project, dead code, arrows, the reference.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root, run, runTool } from './run.mjs'

const projects = [
  'shared/tsconfig.json',
  'client/tsconfig.json',
  'client/tsconfig.node.json',
  'server/tsconfig.json',
  'server/status/page/tsconfig.json',
  'ws/tsconfig.json',
  'prometheus/tsconfig.json',
  'cluster/tsconfig.json',
  'redis/tsconfig.json',
  'events/tsconfig.json',
  'testing/tsconfig.json',
  'doctor/tsconfig.json',
  'doctor/tsconfig.node.json',
  'conformance/tsconfig.json',
  'tsconfig.json',
  'scripts/tsconfig.json',
]

/** @type {{ name: string, run: () => import('./run.mjs').Result }[]} */
export const checks = [
  {
    name: 'format and lint',
    run: () => runTool(['@biomejs/biome', 'biome'], ['check', '--error-on-warnings', '.'], { quiet: true }),
  },
  ...projects.map((project) => ({
    name: `types: ${project}`,
    run: () => runTool(['typescript', 'tsc'], ['-p', project, '--pretty', 'false'], { quiet: true }),
  })),
  { name: 'arrows', run: () => run(process.execPath, ['scripts/check-arrows.mjs'], { quiet: true }) },
  {
    name: 'reference',
    run: () => run(process.execPath, ['scripts/check-reference.mjs'], { quiet: true }),
  },
  { name: 'dead code', run: () => runTool(['knip'], ['--no-progress'], { quiet: true }) },
]

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  ensureInstalled()
  // The types of what the tests use.
  ensureInstalled(join(root, 'test', 'ecosystem'))
  for (const check of checks) {
    const { ok, output } = check.run()
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${check.name}`)
    if (ok) continue
    console.log(output)
    process.exitCode = 1
  }
}
