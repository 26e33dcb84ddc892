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

/** This file may have been bundled to somewhere else. */
function rootOf(url: URL): string {
  return existsSync(new URL('biome.json', url)) ? fileURLToPath(url) : rootOf(new URL('..', url))
}

const root = rootOf(new URL('.', import.meta.url))

interface Bundle {
  readonly code: string
  /** How often the snippet was found; undefined where its file is no part of this. */
  readonly found: number | undefined
}

async function bundle(side: 'client' | 'server', bug: Bug | undefined): Promise<Bundle> {
  let found: number | undefined
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [`test/simulation/everwire-${side}.ts`],
    bundle: true,
    write: false,
    packages: 'external',
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'silent',
    plugins: !bug
      ? []
      : [
          {
            name: 'plant',
            setup({ onLoad }) {
              const filter = new RegExp(
                `[\\\\/]${bug.file.replaceAll('/', '[\\\\/]').replaceAll('.', '\\.')}$`,
              )
              onLoad({ filter }, async ({ path }) => {
                const parts = (await readFile(path, 'utf8')).split(bug.snippet)
                found = parts.length - 1
                return { contents: parts.join(bug.replacement), loader: 'ts' }
              })
            },
          },
        ],
  })
  return { code: outputFiles?.[0]?.text ?? '', found }
}

function evaluate<T>(side: string, { code }: Bundle, globals: Globals): T {
  const module = { exports: {} }
  const given: Globals = {
    require: createRequire(import.meta.url),
    ...globals,
    module,
    exports: module.exports,
  }
  const run = compileFunction(code, Object.keys(given), { filename: `everwire-${side}.js` })
  run(...Object.values(given))
  return module.exports as T
}

/** What has no bug in it is made once. */
const sound = new Map<string, Promise<Bundle>>()

function bundleOf(side: 'client' | 'server', bug: Bug | undefined): Promise<Bundle> {
  if (bug && !bug.file.startsWith(side === 'client' ? 'server/' : 'client/')) return bundle(side, bug)
  const made = sound.get(side) ?? bundle(side, undefined)
  sound.set(side, made)
  return made
}

export async function load(bug?: Bug): Promise<Everwire> {
  const [client, server] = await Promise.all([bundleOf('client', bug), bundleOf('server', bug)])
  const found = [client.found, server.found].filter((count) => count !== undefined)
  if (bug && (found.length === 0 || found.some((count) => count !== 1)))
    throw new Error(`"${bug.name}": its snippet stands ${found.join(' and ') || 0} times in ${bug.file}`)
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
