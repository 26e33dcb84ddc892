// A library as it is where a package that it depends on is replaced, in the way of docs/LIBRARIES.md.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where the project itself has what it tests with. */
export const ownFolder: string = join(root, 'node_modules')
const librariesFolder = join(root, 'test', 'ecosystem', 'node_modules')

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/**
 * Imports a copy of the library that finds `replacement` in place of the package `replaced`. `specifier`: what of the library
 * is imported. Until all tests of the file are through.
 */
export async function importReplacing<Module>(
  library: string,
  replaced: string,
  replacement: object,
  specifier: string = library,
  from: string = librariesFolder,
): Promise<Module> {
  const place = mkdtempSync(join(tmpdir(), 'everwire-'))
  afterAll(() => rmSync(place, { recursive: true }))
  const folder = join(place, 'node_modules')
  cpSync(join(from, library), join(folder, library), { recursive: true, dereference: true })
  const manifest = JSON.parse(readFileSync(join(folder, library, 'package.json'), 'utf8')) as Manifest
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    if (name === replaced) continue
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    symlinkSync(join(from, name), join(folder, name))
  }
  const key = `everwire test: ${place}`
  Object.assign(globalThis, { [key]: replacement })
  const names = Object.keys(replacement).map(
    (name, i) =>
      `const name${i} = all[${JSON.stringify(name)}]\nexport { name${i} as ${JSON.stringify(name)} }\n`,
  )
  write(folder, replaced, 'package.json', '{ "type": "module", "exports": "./index.js" }')
  write(folder, replaced, 'index.js', `const all = globalThis[${JSON.stringify(key)}]\n${names.join('')}`)
  // Inside node_modules, where vitest leaves it to Node.
  const source = JSON.stringify(specifier)
  const text = `export * from ${source}\nimport * as all from ${source}\nexport default all.default\n`
  const entry = write(folder, 'entry', 'index.mjs', text)
  return (await import(pathToFileURL(entry).href)) as Module
}

function write(folder: string, name: string, file: string, text: string): string {
  mkdirSync(join(folder, name), { recursive: true })
  const path = join(folder, name, file)
  writeFileSync(path, text)
  return path
}
