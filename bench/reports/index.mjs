// `npm run bench -- --report`: writes what people read from the newest raw numbers.
import { readFileSync, writeFileSync } from 'node:fs'
import { newestTables } from '../results.mjs'
import { verdicts } from '../tables.mjs'
import { benchmarksPage } from './benchmarks.mjs'
import { growthPicture } from './picture.mjs'
import { readmeSection } from './readme.mjs'

const root = new URL('../../', import.meta.url)
const between = /(<!-- bench: written by npm run bench -- --report -->\n).*?(\n<!-- \/bench -->)/s

export function writeReports() {
  const tables = newestTables()
  if (tables.size === 0) throw new Error('There are no raw numbers in bench/results: run npm run bench.')
  // Those of the load clients are the servers' bars from before, and stand beside their tables.
  const goals = [...tables.values()]
    .filter(({ scenario }) => !/^(alone-|armour)/.test(scenario))
    .flatMap((table) => verdicts(table).map((verdict) => ({ ...verdict, table })))
  const { machine } = [...tables.values()].at(-1).run
  write('docs/BENCHMARKS.md', benchmarksPage(tables, goals))
  write('docs/pictures/growth.svg', growthPicture(tables))
  const readme = readFileSync(new URL('README.md', root), 'utf8')
  if (!between.test(readme)) throw new Error('The README has no place for the benchmark.')
  const section = readmeSection(tables, { goals, machine })
  write(
    'README.md',
    readme.replace(between, (_all, begin, end) => `${begin}\n${section}\n${end}`),
  )
}

function write(path, text) {
  writeFileSync(new URL(path, root), text)
  console.log(`wrote ${path}`)
}
