// What the usual bundlers make of a script that imports the package: as small as they can, each with the settings that it comes with.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from './run.mjs'

/** Where those are that the project itself does not use. */
const folderOfOthers = join(root, 'test', 'toolchains')
const requireOther = createRequire(join(folderOfOthers, 'package.json'))
/** What bundlers write beside a project, by the name of the bundler. */
const output = 'bundled'

/**
 * Each bundles `code` for browsers as if it stood in `folder`, which is a project with the package installed.
 * @type {Readonly<Record<'esbuild' | 'Vite' | 'webpack' | 'Rollup' | 'Parcel', (code: string, folder: string) => Promise<string>>>}
 */
export const bundlers = {
  async esbuild(code, folder) {
    const { build } = await import('esbuild')
    const { outputFiles } = await build({
      stdin: { contents: code, resolveDir: folder },
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      write: false,
      logLevel: 'silent',
    })
    return outputFiles[0]?.text ?? ''
  },

  async Vite(code, folder) {
    const { build } = await import('vite')
    const entry = 'entry'
    const made = await build({
      root: folder,
      configFile: false,
      logLevel: 'warn',
      plugins: [
        {
          name: entry,
          resolveId: (id) => (id === entry ? `\0${entry}` : undefined),
          load: (id) => (id === `\0${entry}` ? code : undefined),
        },
      ],
      build: { write: false, modulePreload: false, rolldownOptions: { input: entry } },
    })
    const [first] = [made].flat()
    if (!first || !('output' in first)) throw new Error('Vite made nothing')
    return first.output.map((file) => ('code' in file ? file.code : '')).join('\n')
  },

  async webpack(code, folder) {
    const webpack = requireOther('webpack')
    const { entry, out } = place('webpack', code, folder)
    const compiler = webpack({
      mode: 'production',
      context: folder,
      entry,
      output: { path: out, filename: 'out.js' },
    })
    /** @type {any} */
    const stats = await new Promise((resolve, reject) => {
      compiler.run((/** @type {unknown} */ error, /** @type {unknown} */ done) =>
        error ? reject(error) : resolve(done),
      )
    })
    await new Promise((resolve) => compiler.close(resolve))
    if (stats.hasErrors()) throw new Error(stats.toString())
    return readFileSync(join(out, 'out.js'), 'utf8')
  },

  async Rollup(code, folder) {
    const { rollup } = requireOther('rollup')
    const { nodeResolve } = requireOther('@rollup/plugin-node-resolve')
    const terser = requireOther('@rollup/plugin-terser')
    const { entry } = place('Rollup', code, folder)
    const made = await rollup({ input: entry, plugins: [nodeResolve({ browser: true })] })
    const { output } = await made.generate({ format: 'es', plugins: [terser({ maxWorkers: 1 })] })
    await made.close()
    return output[0].code
  },

  async Parcel(code, folder) {
    const { Parcel, createWorkerFarm } = requireOther('@parcel/core')
    const { entry, out } = place('Parcel', code, folder)
    const workerFarm = createWorkerFarm({ maxConcurrentWorkers: 0 })
    try {
      const { bundleGraph } = await new Parcel({
        entries: entry,
        projectRoot: folder,
        defaultConfig: requireOther.resolve('@parcel/config-default'),
        mode: 'production',
        env: { NODE_ENV: 'production' },
        shouldDisableCache: true,
        cacheDir: join(out, 'cache'),
        workerFarm,
        defaultTargetOptions: {
          distDir: out,
          sourceMaps: false,
          engines: { browsers: ['last 3 Chrome versions'] },
        },
      }).run()
      const [bundle] = bundleGraph.getBundles()
      return readFileSync(bundle.filePath, 'utf8')
    } finally {
      await workerFarm.end()
    }
  },
}

/**
 * React Native's bundler, with the settings that a new application of React Native has.
 * @param {string} code
 * @param {string} folder
 * @returns {Promise<string>}
 */
export async function bundleWithMetro(code, folder) {
  const Metro = requireOther('metro')
  const { getDefaultConfig, mergeConfig } = requireOther('@react-native/metro-config')
  const { entry, out } = place('Metro', code, folder)
  const modules = join(folderOfOthers, 'node_modules')
  const config = mergeConfig(getDefaultConfig(folder), {
    projectRoot: folder,
    watchFolders: [folder, join(modules, '@babel', 'runtime'), join(modules, 'metro-runtime')],
    maxWorkers: 1,
    cacheStores: [],
    fileMapCacheDirectory: out,
    reporter: { update() {} },
    resolver: { nodeModulesPaths: [modules], useWatchman: false },
    // What a device needs before the application: our tests bring it.
    serializer: { getModulesRunBeforeMainModule: () => [], getPolyfills: () => [] },
  })
  const made = await Metro.runBuild(config, {
    entry,
    platform: 'android',
    dev: false,
    minify: false,
    out: join(out, 'out.js'),
  })
  return made.code
}

/** A page's use of the class alone, the same as what the file for a <script> tag does. */
export const classAlone = `import { WebSocket } from 'everwire'
globalThis.everwire = { WebSocket }
`

/**
 * For bundlers that want files.
 * @param {string} name
 * @param {string} code
 * @param {string} folder
 */
function place(name, code, folder) {
  const out = join(folder, output, name)
  mkdirSync(out, { recursive: true })
  const entry = join(folder, `entry-${name}.js`)
  writeFileSync(entry, code)
  return { entry, out }
}
