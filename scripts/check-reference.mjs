// Checks that docs/API.md and the doc comments describe all that the package exports, and nothing else. Run by `npm run check`.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publicNames } from './public-names.mjs'
import { faultsOf } from './reference.mjs'
import { root } from './run.mjs'

/** @param {string} path */
const textOf = (path) => readFileSync(join(root, path), 'utf8')

const sources = ['shared', 'client', 'server', 'ws', 'testing', 'doctor', 'cluster', 'redis'].flatMap(
  (area) =>
    readdirSync(join(root, area), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(area, file)),
)
const code = new Set(sources.flatMap((file) => textOf(file).match(/(?<=')EVERWIRE_[A-Z_]+(?=')/g) ?? []))
const closeCodes = [...textOf('shared/codes.ts').matchAll(/^ {2}\w+: (\d{4}),$/gm)].map(([, one]) =>
  Number(one),
)

const faults = faultsOf(
  textOf('docs/API.md'),
  publicNames(root, 'tsconfig.build.json'),
  [...code],
  closeCodes,
)
for (const file of sources) {
  for (const [at, line] of textOf(file).split('\n').entries())
    if (/\/\*\* …|… \*\//.test(line))
      faults.push(
        `${file}:${at + 1}: an editor shows only this part of a sentence: write a whole one, without "…"`,
      )
}
for (const line of faults) console.error(line)
process.exitCode = faults.length > 0 ? 1 : 0
