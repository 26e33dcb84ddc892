// What someone gets who installs the package: packed, installed in an empty project, used, typed, bundled; its size.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { bundlers, classAlone } from './bundlers.mjs'
import { root, run, runTool } from './run.mjs'
import { compilations } from './typescripts.mjs'

const maxGzipBytes = 15_983
/** How much larger than `everwire.js` a bundle of the class may be. */
const maxBundled = 1.03
/** esbuild gives variables of inner functions longer names. */
const maxBundledOf = { esbuild: 1.05 }
const mustContain = [
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'package.json',
  'dist/everwire.js',
  'dist/server/status/page/status.html',
  'docs/PROTOCOL.md',
  'docs/STATUS.md',
  'docs/TESTING.md',
  'docs/DOCTOR.md',
  'docs/MIGRATING.md',
  'docs/CLOSING.md',
  'docs/MONITORING.md',
  'docs/AUTH.md',
  'docs/EVENTS.md',
]

/** @typedef {import('./run.mjs').Result} Result */

/** @returns {Result} */
export function checkSize() {
  const bytes = gzipped(readFileSync(join(root, 'dist', 'everwire.js')))
  return {
    ok: bytes <= maxGzipBytes,
    output: `dist/everwire.js: ${bytes} bytes gzipped, at most ${maxGzipBytes}`,
  }
}

/** @param {string | Buffer} content */
function gzipped(content) {
  return gzipSync(content, { level: 9 }).length
}

/**
 * @param {(name: string, check: () => Result | Promise<Result>, group?: string) => Promise<boolean>} step
 */
export async function checkPackage(step) {
  const project = mkdtempSync(join(tmpdir(), 'everwire-package-'))
  /** @param {string} name */
  const inProject = (name) => join(project, name)
  const quiet = { cwd: project, quiet: true, timeout: 120_000 }
  try {
    cpSync(join(root, 'test', 'package'), project, { recursive: true })
    let tarball = ''
    const packed = await step('npm pack', () => {
      const result = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], {
        quiet: true,
      })
      if (!result.ok) return result
      tarball = inProject(readdirSync(project).find((name) => name.endsWith('.tgz')) ?? '')
      const missing = mustContain.filter((name) => !result.output.includes(`"path": "${name}"`))
      return { ok: missing.length === 0, output: `not in the package: ${missing.join(', ')}` }
    })
    if (!tarball) return

    await step('publint', () => runTool(['publint'], [tarball, '--strict'], quiet))
    await step('attw', () =>
      runTool(
        ['@arethetypeswrong/cli', 'attw'],
        [tarball, '--profile', 'esm-only', '--exclude-entrypoints', './dist/everwire.js'],
        quiet,
      ),
    )
    const installed = await step('install the tarball', () =>
      run(
        'npm',
        ['install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'],
        quiet,
      ),
    )
    if (!packed || !installed) return

    for (const name of ['@types/node', 'prom-client', 'redis']) {
      mkdirSync(dirname(inProject(`node_modules/${name}`)), { recursive: true })
      symlinkSync(join(root, 'node_modules', name), inProject(`node_modules/${name}`), 'junction')
    }
    await step('import', () => run(process.execPath, ['import.mjs'], quiet))
    await step('require', () => run(process.execPath, ['require.cjs'], quiet))
    await step('the command', () => run(process.execPath, ['doctor.mjs'], quiet))
    for (const { name, compiler, args } of compilations(Boolean(process.env.EVERWIRE_EVERY_TYPESCRIPT)))
      await step(name, () => run(process.execPath, [compiler, ...args], quiet))
    await step('bundle with Vite', () => {
      const built = runTool(['vite'], ['build', '--outDir', 'with-vite', '--logLevel', 'warn'], quiet)
      return built.ok ? forBrowsers(inProject('with-vite/assets')) : built
    })
    await step('bundle with esbuild', async () => {
      const { build } = await import('esbuild')
      try {
        const outdir = inProject('with-esbuild')
        await build({
          entryPoints: [inProject('browser.ts')],
          bundle: true,
          format: 'esm',
          outdir,
          logLevel: 'silent',
        })
        return forBrowsers(outdir)
      } catch (error) {
        return { ok: false, output: String(error) }
      }
    })
    for (const [name, bundle] of Object.entries(bundlers))
      await step(
        `bundled by ${name}`,
        () => checkBundle(bundle, project, { ...maxBundledOf }[name] ?? maxBundled),
        'size',
      )
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/**
 * A bundle of the class is about as small as the file for a <script> tag.
 * @param {(code: string, folder: string) => Promise<string>} bundle
 * @param {string} folder
 * @param {number} factor
 * @returns {Promise<Result>}
 */
async function checkBundle(bundle, folder, factor) {
  try {
    const bytes = gzipped(await bundle(classAlone, folder))
    const most = Math.floor(gzipped(readFileSync(join(root, 'dist', 'everwire.js'))) * factor)
    return { ok: bytes <= most, output: `the class alone: ${bytes} bytes gzipped, at most ${most}` }
  } catch (error) {
    return { ok: false, output: String(error) }
  }
}

/**
 * A bundle for browsers holds our class and nothing of Node, not even a stand-in for it.
 * @param {string} folder
 * @returns {Result}
 */
function forBrowsers(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.js'))
  const code = names.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n')
  const foreign = code.match(/["'`]node:[a-z/]+["'`]|browser-external|\brequire\(/)?.[0]
  if (foreign) return { ok: false, output: `the bundle for browsers contains ${foreign}` }
  return { ok: code.includes('transportchange'), output: 'the bundle does not contain our WebSocket' }
}
