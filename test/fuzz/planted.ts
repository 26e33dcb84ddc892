/**
 * Bugs that the runs must find. Each is a snippet of the source and what it is replaced by in a copy made for the test:
 * the source itself knows nothing of it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import type { KindName } from './run.ts'
import type { Everwire } from './world.ts'

interface Bug {
  readonly name: string
  /** Which runs are to find it. */
  readonly kind: KindName
  readonly file: string
  readonly snippet: string
  readonly replacement: string
}

export const bugs: readonly Bug[] = [
  {
    name: 'a pong of any length',
    kind: 'bodies',
    file: 'server/entry/diagnostics.ts',
    snippet: "if (readControl(record)) writeRecord(to, 'pong', record.payload)",
    replacement: "writeRecord(to, 'pong', record.payload)",
  },
  {
    name: 'a close code that may not be on the wire',
    kind: 'frames',
    file: 'shared/frame.ts',
    snippet: '(code === alsoCode || isWireCode(code)) &&',
    replacement: '',
  },
  {
    name: 'an offset that throws',
    kind: 'bodies',
    file: 'shared/session.ts',
    snippet: 'if (skip > data.length || (skip === data.length && more)) return true',
    replacement: "if (skip > data.length) throw new RangeError('offset')",
  },
  {
    name: 'a pong before the welcome',
    kind: 'controls',
    file: 'client/carriers/websocket.ts',
    snippet: "this.#welcome ? kind === 'welcome' : !early.test(kind as string)",
    replacement: 'false',
  },
  {
    name: 'a handshake that takes the connection of a request before it',
    kind: 'raw',
    file: 'server/entry/server.ts',
    snippet: 'if (isBehindAnother(request, request.socket)) {',
    replacement: 'if (false) {',
  },
]

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}node_modules/.cache/everwire`

/** A copy of everwire with this bug in it. */
export async function plant(bug: Bug): Promise<Everwire> {
  let found = 0
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['test/fuzz/everwire.ts'],
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
  const file = `${folder}/planted-${process.pid}-${bugs.indexOf(bug)}.mjs`
  await writeFile(file, outputFiles[0]?.contents ?? '')
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}
