// Builds dist/: the modules and their types with tsc, mirroring the tree, and what browsers load, with short names.
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { root, runTool } from './run.mjs'

/** It is made here, beside `dist`, so that whoever uses `dist` meanwhile finds it whole. */
const building = '.dist'
/** Several processes of the tests may want to build at a time. */
const lock = join(root, 'node_modules', '.cache', 'everwire', 'build.lock')
/** Between two looks at a lock of another process. */
const pause = 100
/** No build takes longer. */
const longestHold = 600_000

export function build() {
  return alone(lock, buildNow)
}

async function buildNow() {
  const began = new Date()
  rmSync(join(root, building), { recursive: true, force: true })
  const options = ['-p', 'tsconfig.build.json', '--outDir', building, '--pretty', 'false']
  const tsc = runTool(['typescript', 'tsc'], options, { quiet: true })
  if (!tsc.ok) throw new Error(`tsc failed\n${tsc.output}`)

  copyStatusPage()
  // It needs packages, which whoever imports this file may still have to install.
  const { buildBrowserFiles } = await import('./browser-file.mjs')
  await buildBrowserFiles(building)
  // What is changed while it is built is newer than it.
  utimesSync(join(root, building, 'everwire.js'), began, began)
  replace(join(root, 'dist'), join(root, building), 'everwire.js')
}

/**
 * Puts the files of one folder in place of those of another, each in one step: no file that both have is missing at any moment.
 * @param {string} folder
 * @param {string} by this folder is gone afterwards
 * @param {string} [last] the file that tells others that all is there
 */
export function replace(folder, by, last) {
  const files = filesIn(by)
  /** @param {string} file */
  const move = (file) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    renameSync(join(by, file), join(folder, file))
  }
  for (const file of files) if (file !== last) move(file)
  const all = new Set(files)
  for (const file of existsSync(folder) ? filesIn(folder) : []) if (!all.has(file)) rmSync(join(folder, file))
  if (last !== undefined) move(last)
  rmSync(by, { recursive: true })
}

/** @param {string} folder */
function filesIn(folder) {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
  return found
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
}

/**
 * Does something while no other process does it with the same lock. The lock of a process that has died counts no more.
 * @template T
 * @param {string} path the file of the lock
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function alone(path, action) {
  mkdirSync(dirname(path), { recursive: true })
  while (!take(path)) await wait(pause)
  try {
    return await action()
  } finally {
    rmSync(path, { force: true })
  }
}

/** @param {string} path */
function take(path) {
  const own = `${path}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
  } finally {
    rmSync(own, { force: true })
  }
  if (!isHeld(path)) rmSync(path, { force: true })
  return false
}

/** @param {string} path */
function isHeld(path) {
  try {
    // Another process may have the number of one that has died.
    if (Date.now() - statSync(path).mtimeMs > longestHold) return false
    process.kill(Number(readFileSync(path, 'utf8')), 0)
    return true
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    // Of a process of somebody else's it is not permitted to ask. A lock that has just been given back is not there to be taken away.
    return code === 'EPERM' || code === 'ENOENT'
  }
}

/** The files of the status page are served as they are. */
function copyStatusPage() {
  const page = join('server', 'status', 'page')
  cpSync(join(root, page), join(root, building, page), {
    recursive: true,
    filter: (path) => !path.endsWith('.json'),
  })
}

/** Builds `dist/` if there is none or a source is newer than it. Of several processes that want it at a time one builds. */
export async function ensureBuilt() {
  if (isBuilt()) return
  await alone(lock, async () => {
    if (!isBuilt()) await buildNow()
  })
}

function isBuilt() {
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
  return existsSync(built) && statSync(built).mtimeMs >= newest
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
