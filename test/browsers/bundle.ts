// What a page loads of the tests: one script, with what its entry exports under one global name.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function bundleForPage(entry: string, globalName: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL('../..', import.meta.url)),
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'iife',
    globalName,
    target: 'es2022',
  })
  return outputFiles[0]?.text ?? ''
}
