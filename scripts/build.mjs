// Builds dist/: the modules and their types with tsc, mirroring the tree, and what browsers load, with short names.
import { cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildBrowserFiles } from './browser-file.mjs'
import { root, runTool } from './run.mjs'

export async function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const tsc = runTool(['typescript', 'tsc'], ['-p', 'tsconfig.build.json', '--pretty', 'false'], {
    quiet: true,
  })
  if (!tsc.ok) throw new Error(`tsc failed\n${tsc.output}`)

  copyStatusPage()
  await buildBrowserFiles()
}

/** The files of the status page are served as they are. */
function copyStatusPage() {
  const page = join('server', 'status', 'page')
  cpSync(join(root, page), join(root, 'dist', page), {
    recursive: true,
    filter: (path) => !path.endsWith('.json'),
  })
}

/** Builds `dist/` if there is none or a source is newer than it. */
export async function ensureBuilt() {
  const built = join(root, 'dist', 'everwire.js')
  const sources = [
    'shared',
    'client',
    'server',
    'ws',
    'events',
    'testing',
    'doctor',
    'prometheus',
    'cluster',
    'redis',
    'conformance',
    'package.json',
    'tsconfig.base.json',
    'tsconfig.build.json',
    'scripts/browser-file.mjs',
    'scripts/open-classes.mjs',
    'scripts/short-names.mjs',
    'scripts/short-tags.mjs',
  ]
  const newest = Math.max(...sources.map((path) => newestChange(join(root, path))))
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return
  await build()
}

/**
 * @param {string} path
 * @returns {number}
 */
function newestChange(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await build()
