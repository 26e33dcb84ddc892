// Another version of the package: the built one in a folder of its own, with some of its text changed.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { root } from '../../scripts/run.mjs'

type Change = readonly [file: string, from: string, to: string]

/** A later version that nodes of today understand: it says more of itself than they know. */
export const laterMinor: readonly Change[] = [
  ['cluster/node.js', "const version = '1.0'", "const version = '1.1'"],
  [
    'cluster/node.js',
    'const own = { name: this.name,',
    'const own = { later: { than: [1] }, name: this.name,',
  ],
]

/** A later version that nodes of today do not understand, and that does not understand them. */
export const laterMajor: readonly Change[] = [
  ['cluster/node.js', "const version = '1.0'", "const version = '2.0'"],
  ['cluster/topics/entry.js', 'const version = 1', 'const version = 2'],
  ['server/durable/parcel.js', 'const version = 1', 'const version = 2'],
]

/** Makes a build with these changes. Returns the path of its test/cluster/node.mjs. */
export function buildOf(changes: readonly Change[]): string {
  const parent = join(root, 'node_modules', '.cache', 'everwire')
  mkdirSync(parent, { recursive: true })
  // Below our node_modules, where it finds its dependencies.
  const folder = mkdtempSync(join(parent, 'version-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  for (const [file, from, to] of changes) {
    const path = join(folder, 'dist', file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`'${from}' is not once in ${file}`)
    writeFileSync(path, text.replace(from, to))
  }
  const script = join(folder, 'node.mjs')
  cpSync(fileURLToPath(new URL('node.mjs', import.meta.url)), script)
  return script
}
