// Raw numbers, one file for each run, under results/.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('results/', import.meta.url)

/** @returns the path of the file, which has its date for a name */
export function saveResults(found) {
  mkdirSync(folder, { recursive: true })
  const file = new URL(`${found.date.slice(0, 16).replace(':', '')}.json`, folder)
  // A round a line: a file of thousands of numbers that a person can still read.
  const text = JSON.stringify(
    found,
    (_key, value) => (typeof value === 'number' ? +value.toPrecision(6) : value),
    1,
  )
  writeFileSync(
    file,
    `${text.replace(/\{\s+("[a-zA-Z0-9]+": -?[\d.e+-]+,?\s*)+\}/g, (round) => round.replace(/\s+/g, ' '))}\n`,
  )
  return fileURLToPath(file)
}

/** Each table of the newest run that has it, with that run's date and machine. */
export function newestTables() {
  const tables = new Map()
  for (const name of readdirSync(folder)
    .filter((each) => each.endsWith('.json'))
    .sort()) {
    const { tables: found, ...run } = JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
    for (const table of found) tables.set(table.id, { ...table, run: { ...run, name } })
  }
  return tables
}
