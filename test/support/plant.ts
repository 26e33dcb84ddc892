/** A bug, planted into a copy of the source that is made for one test: the source itself knows nothing of it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

export interface PlantedBug {
  readonly name: string
  readonly file: string
  readonly snippet: string
  readonly replacement: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}node_modules/.cache/everwire`
let count = 0

/** The module `entry` with this bug in it. */
export async function withBug<Module>(entry: string, bug: PlantedBug): Promise<Module> {
  let found = 0
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [
      {
        name: 'plant',
        setup({ onLoad }) {
          const filter = new RegExp(`[\\\\/]${bug.file.replaceAll('/', '[\\\\/]').replaceAll('.', '\\.')}$`)
          onLoad({ filter }, async ({ path }) => {
            const parts = (await readFile(path, 'utf8')).split(bug.snippet)
            found = parts.length - 1
            return { contents: parts.join(bug.replacement), loader: 'ts' }
          })
        },
      },
    ],
  })
  if (found !== 1) throw new Error(`"${bug.name}": its snippet stands ${found} times in ${bug.file}`)
  await mkdir(folder, { recursive: true })
  const file = `${folder}/planted-${process.pid}-${count++}.mjs`
  await writeFile(file, outputFiles[0]?.contents ?? '')
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}
