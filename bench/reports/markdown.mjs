// Tables as markdown: all figures for docs/BENCHMARKS.md, ratios alone for the README.
import { describeGoal, figure, format, ratio, verdicts } from '../tables.mjs'

function rows(cells) {
  return cells.map((line) => `| ${line.join(' | ')} |`).join('\n')
}

/** Medians, and the ratio of each to the row that the table compares with. */
export function fullTable(table) {
  const columns = Object.entries(table.columns).flatMap(([key, { title, digits, ratio: compared }]) => [
    { title, cell: (name) => format(figure(table, name, key)?.median, digits) },
    ...(compared
      ? [{ title: `× ${table.against}`, cell: (name) => format(ratio(table, name, key), 2) }]
      : []),
  ])
  const head = [['', ...columns.map(({ title }) => title)], columns.map(() => '---:')]
  head[1].unshift('---')
  const body = table.rows
    .filter(({ rounds }) => rounds.length > 0)
    .map(({ name }) => [name, ...columns.map(({ cell }) => cell(name))])
  const faults = table.rows.flatMap(({ name, faults: all }) =>
    all.map((fault) => `- ${name} failed: ${fault}`),
  )
  const goals = verdicts(table).map((verdict) => `- ${describeGoal(table, verdict)}`)
  const note = table.note ? `${capital(table.note)}. ` : ''
  const lists = [goals.join('\n'), faults.join('\n')].filter(Boolean).join('\n')
  return `### ${capital(table.title)}\n\n${note}${rounds(table)}\n\n${rows([...head, ...body])}\n${lists && `\n${lists}\n`}`
}

function rounds(table) {
  const most = Math.max(
    ...table.rows.map(({ name }) => figure(table, name, Object.keys(table.columns)[0])?.count ?? 0),
  )
  if (table.run.quick) return 'A short run, only to see that it works.'
  return most > 1 ? `Medians of ${most} rounds.` : 'One round.'
}

/**
 * Ratios: a line for each { label, table, column, of } and a column for each [title, row]. `of` is the row that is 1; lines of tables that
 * nobody measured are left out.
 */
export function ratioTable(tables, corner, lines, columns, of) {
  const head = [
    [corner, ...columns.map(([title]) => title)],
    ['---', ...columns.map(() => '---:')],
  ]
  const body = lines
    .filter(({ table }) => tables.has(table))
    .map(({ label, table, column }) => [
      label,
      ...columns.map(([, row]) => (row === of ? '1' : format(ratio(tables.get(table), row, column, of), 2))),
    ])
  return body.length > 0 ? rows([...head, ...body]) : ''
}

export function capital(text) {
  return text[0].toUpperCase() + text.slice(1)
}
