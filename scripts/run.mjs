// Runs commands and the tools in node_modules, and installs what they need.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * @typedef {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean, timeout?: number }} RunOptions
 * @typedef {{ ok: boolean, output: string }} Result
 */

/**
 * Runs a command to its end; never throws. With `quiet` the output is only in the result.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 * @returns {Result}
 */
export function run(command, args, { cwd = root, env = {}, quiet = false, timeout = 600_000 } = {}) {
  const child = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: quiet ? 'pipe' : 'inherit',
    encoding: 'utf8',
    timeout,
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === 'win32' && command === 'npm',
  })
  const output = [child.stdout, child.stderr, child.error?.message].filter(Boolean).join('\n').trim()
  return { ok: child.status === 0, output }
}

/**
 * The command line of a tool of a dev dependency.
 * @param {string} name the package
 * @param {string} [command] the command, if it is not named like the package
 * @returns {string} the script to run with Node
 */
export function toolScript(name, command = name) {
  const folder = join(root, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return join(folder, typeof bin === 'string' ? bin : bin[command])
}

/**
 * @param {[name: string, command?: string]} tool
 * @param {string[]} args
 * @param {RunOptions} [options]
 */
export function runTool([name, command], args, options) {
  return run(process.execPath, [toolScript(name, command), ...args], options)
}

/**
 * Installs the packages that `package-lock.json` in a folder names, unless exactly these are installed.
 * @param {string} [folder]
 */
export function ensureInstalled(folder = root) {
  if (isInstalled(folder)) return
  console.log(`installing the packages of ${join(folder, 'package-lock.json')}`)
  const env = { PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' }
  if (!run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, env }).ok)
    throw new Error('npm ci failed')
}

/** Installs what tests and checks need: our own packages, the tested libraries, the peers, other runtimes, bundlers and compilers. */
export function ensureTestsInstalled() {
  ensureInstalled()
  ensureInstalled(join(root, 'bench'))
  ensureInstalled(join(root, 'test', 'ecosystem'))
  ensureInstalled(join(root, 'test', 'runtimes'))
  ensureInstalled(join(root, 'test', 'toolchains'))
}

/** @param {string} folder */
function isInstalled(folder) {
  const wanted = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages
  const installedList = join(folder, 'node_modules', '.package-lock.json')
  if (!existsSync(installedList)) return false
  const installed = JSON.parse(readFileSync(installedList, 'utf8')).packages
  const settings = join(folder, '.npmrc')
  const omitsOptional = existsSync(settings) && /^omit=optional$/m.test(readFileSync(settings, 'utf8'))
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = installed[path]
    if (found) return found.integrity === entry.integrity
    return entry.optional === true && (omitsOptional || !isForHere(entry))
  })
}

/**
 * Whether npm installs an optional package on this machine: it leaves out those for other systems.
 * @param {{ os?: string[], cpu?: string[], libc?: string[] }} entry
 */
function isForHere({ os, cpu, libc }) {
  // Only npm knows the C library here.
  return !libc && (os?.includes(process.platform) ?? false) && (cpu?.includes(process.arch) ?? false)
}

/**
 * Runs a TypeScript program of the tests.
 * @param {string} name
 * @param {string} entry its file
 */
export async function runTypeScript(name, entry) {
  const { build } = await import('esbuild')
  const outfile = join(root, 'node_modules', '.cache', 'everwire', `${name}.mjs`)
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
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
  try {
    await import(pathToFileURL(outfile).href)
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error
    console.error(`${message}\nThe options are in CONTRIBUTING.md.`)
    process.exitCode = 2
  }
}

/**
 * Runs a tool in its own process group, by which its child processes can be found; for an hour at most.
 * @param {string} script
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [node] the program that runs it
 * @returns {Promise<{ ok: boolean, pid: number }>}
 */
export function runGroup(script, args, env, node = process.execPath) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [script, ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: 'inherit',
      detached: true,
    })
    const { pid } = child
    /** @param {NodeJS.Signals} signal */
    const pass = (signal) => {
      if (pid !== undefined) process.kill(-pid, signal)
    }
    process.on('SIGINT', pass).on('SIGTERM', pass)
    const limit = setTimeout(() => pass('SIGKILL'), 3_600_000)
    child.on('error', reject)
    child.on('exit', (code) => {
      clearTimeout(limit)
      process.off('SIGINT', pass).off('SIGTERM', pass)
      resolve({ ok: code === 0, pid: pid ?? 0 })
    })
  })
}
