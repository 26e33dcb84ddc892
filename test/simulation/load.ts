/**
 * Everwire as it ships, in a runtime of the simulation's making: both ends are bundled, each by itself, and evaluated with that
 * runtime's globals in front. What the ends know of each other came over the network. One may have a bug planted in it.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { compileFunction } from 'node:vm'
import { build } from 'esbuild'
import type * as clientSide from './everwire-client.ts'
import type * as serverSide from './everwire-server.ts'
import { clientGlobals, type Globals, serverGlobals } from './machine.ts'
import { World } from './world.ts'

/** A snippet of the source and what it is replaced by in a copy made for the test: the source itself knows nothing of it. */
export interface Bug {
  readonly name: string
  readonly file: string
  readonly snippet: string
  readonly replacement: string
}

/** Both ends, and the world that they are in. */
export interface Everwire {
  readonly world: World
  readonly client: typeof clientSide
  readonly server: typeof serverSide
}

/** What is bundled by itself: `node` is a server that may join a cluster. */
type Side = 'client' | 'server' | 'node'

/** This file may have been bundled to somewhere else. */
function rootOf(url: URL): string {
  return existsSync(new URL('biome.json', url)) ? fileURLToPath(url) : rootOf(new URL('..', url))
}

const root = rootOf(new URL('.', import.meta.url))

/** What is made of the text of each module of the client. */
type Change = (text: string) => string

async function bundle(side: Side, bug?: Bug, change?: Change): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [`test/simulation/everwire-${side}.ts`],
    bundle: true,
    write: false,
    packages: 'external',
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // The rest of Math is the real one, which V8 knows how to inline.
    define: { 'Math.random': 'simulatedRandom' },
    logLevel: 'silent',
    plugins: [
      {
        name: 'plant',
        setup({ onLoad }) {
          if (!bug && !change) return
          onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            let contents = await readFile(path, 'utf8')
            if (bug && path.replaceAll('\\', '/').endsWith(`/${bug.file}`))
              contents = contents.replace(bug.snippet, () => bug.replacement)
            return { contents: change?.(contents) ?? contents, loader: 'ts' }
          })
        },
      },
    ],
  })
  return outputFiles?.[0]?.text ?? ''
}

/** Compiles it once. What is returned evaluates it anew, with other globals of the same names. */
export function compile<T>(side: Side, code: string, globals: Globals): (globals: Globals) => T {
  const given: Globals = { require: createRequire(import.meta.url), ...globals }
  // Constants, not parameters: V8 compiles constants into the code that uses them.
  // A place with a number that is none of V8's small integers would make it take all later places for old-fashioned.
  const names = `({ number: undefined, offset: undefined }); const { ${Object.keys(given).join(', ')} } = given;`
  const run = compileFunction(names + code, ['given', 'module', 'exports'], {
    filename: `everwire-${side}.js`,
  })
  return (globals) => {
    const module = { exports: {} }
    run({ ...given, ...globals }, module, module.exports)
    return module.exports as T
  }
}

export function evaluate<T>(side: Side, code: string, globals: Globals): T {
  return compile<T>(side, code, globals)(globals)
}

/** What has no bug in it is made once. */
const sound = new Map<string, Promise<string>>()

/** Where a bug is that a side has no part of. */
const foreign = { client: /^(server|cluster)\//, server: /^(client|cluster)\//, node: /^client\// }

export function bundleOf(side: Side, bug: Bug | undefined): Promise<string> {
  if (bug && !foreign[side].test(bug.file)) return bundle(side, bug)
  const made = sound.get(side) ?? bundle(side)
  sound.set(side, made)
  return made
}

/** Throws unless the text of the bug stands exactly once in its file. */
export async function findPlace({ name, file, snippet }: Bug): Promise<void> {
  const text = existsSync(root + file) ? await readFile(root + file, 'utf8') : ''
  const count = text.split(snippet).length - 1
  if (count !== 1) throw new Error(`"${name}": its snippet stands ${count} times in ${file}`)
}

/** `change`: the client is made of what this makes of its modules. */
export async function load(bug?: Bug, change?: Change): Promise<Everwire> {
  if (bug) await findPlace(bug)
  const [client, server] = await Promise.all([
    change ? bundle('client', bug, change) : bundleOf('client', bug),
    bundleOf('server', bug),
  ])
  const world = new World()
  return {
    world,
    client: evaluate('client', client, clientGlobals(world)),
    server: evaluate('server', server, serverGlobals(world)),
  }
}

/** Runs it in a task of its own. */
export function inTask<T>(run: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(run())
      } catch (error) {
        reject(error)
      }
    })
  })
}
