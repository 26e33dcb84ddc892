// What the usual bundlers make of a script that imports the package: as small as they can, for browsers.

/**
 * Each bundles `code` as if it stood in `folder`.
 * @type {Readonly<Record<'esbuild' | 'Vite', (code: string, folder: string) => Promise<string>>>}
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
    const [output] = [made].flat()
    if (!output || !('output' in output)) throw new Error('Vite made nothing')
    return output.output.map((file) => ('code' in file ? file.code : '')).join('\n')
  },
}

/** A page's use of the class alone, the same as what the file for a <script> tag does. */
export const classAlone = `import { WebSocket } from 'everwire'
globalThis.everwire = { WebSocket }
`
