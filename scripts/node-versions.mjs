// Other versions of Node than the running one, as programs that npm installs.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ensureInstalled, root } from './run.mjs'

/** The newest LTS version. `npm test` runs a share of the tests with it. */
export const newest = 26
/** Where each is installed. The newest is among the runtimes of every test run; the others take half a gigabyte. */
/** @type {Record<number, string>} */
const folders = { 20: 'test/versions', 22: 'test/versions', 24: 'test/versions', [newest]: 'test/runtimes' }

/** All versions of Node that everwire supports, oldest first. Of 20 it is the oldest one. */
export const versions = Object.keys(folders).map(Number)

/**
 * @param {number} version
 * @returns {string | undefined} the program; undefined where npm has none for this machine
 */
export function findNode(version) {
  const folder = join(root, folders[version] ?? '')
  const path = join(folder, 'node_modules', `node${version}`, 'bin', 'node')
  return existsSync(path) ? path : undefined
}

export function ensureVersionsInstalled() {
  for (const folder of new Set(Object.values(folders))) ensureInstalled(join(root, folder))
}

/**
 * The environment in which this program is Node, also for a child process that starts `node`.
 * @param {string} program
 * @returns {NodeJS.ProcessEnv}
 */
export function envOf(program) {
  return { PATH: `${dirname(program)}:${process.env.PATH}` }
}
