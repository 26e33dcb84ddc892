// Raw figures of several rounds, and what is read from them: medians, ratios, goals.

/**
 * A table while it is measured. `columns`: key → { title, digits, ratio: whether its ratio to the row `against` is shown }.
 * What is kept of it is plain data: the reports read it again from JSON.
 */
export class Table {
  #rows = new Map()

  constructor({ id, title, columns, against, note }) {
    this.id = id
    this.title = title
    this.note = note
    this.columns = columns
    this.against = against
    this.goals = []
  }

  /** One round's figures of a row. */
  add(row, figures) {
    this.#row(row).rounds.push(figures)
  }

  /** The row could not be measured, or what it did was wrong. */
  fault(row, message) {
    const { faults } = this.#row(row)
    if (!faults.includes(message)) faults.push(message)
  }

  /**
   * `column` of `row` is to be at most `limit` times that of `of`: a row, or several, of which the least counts. With `of: null` the limit
   * is the figure itself. `exact` where it is not a matter of time or luck, so that missing it is a failure.
   */
  goal(row, column, limit, { of = this.against, exact = false } = {}) {
    this.goals.push({ row, column, limit, of: of && [of].flat(), exact })
  }

  get raw() {
    const { id, title, note, columns, against, goals } = this
    const rows = [...this.#rows].map(([name, row]) => ({ name, ...row }))
    return { id, title, note, columns, against, goals, rows }
  }

  #row(name) {
    let row = this.#rows.get(name)
    if (!row) {
      row = { rounds: [], faults: [] }
      this.#rows.set(name, row)
    }
    return row
  }
}

/** The median, the least and the most of a column of a row; undefined if nothing was measured. */
export function figure(table, name, column) {
  const row = table.rows.find((each) => each.name === name)
  const values = (row?.rounds ?? []).map((round) => round[column]).filter(Number.isFinite)
  if (values.length === 0) return undefined
  values.sort((a, b) => a - b)
  const middle = values.length >> 1
  const median = values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2
  return { median, min: values[0], max: values.at(-1), count: values.length }
}

/** The ratio of medians to a row, or to the best of several rows. */
export function ratio(table, name, column, of = table.against) {
  const own = figure(table, name, column)?.median
  const others = [of ?? []].flat().flatMap((each) => figure(table, each, column)?.median ?? [])
  if (own === undefined || others.length === 0) return undefined
  const best = Math.min(...others)
  return best > 0 ? own / best : undefined
}

/** The goals of a table that could be measured, with what was reached. */
export function verdicts(table) {
  return table.goals.flatMap((goal) => {
    const value =
      goal.of === null
        ? figure(table, goal.row, goal.column)?.median
        : ratio(table, goal.row, goal.column, goal.of)
    return value === undefined ? [] : [{ ...goal, value, met: value <= goal.limit }]
  })
}

export function format(value, digits) {
  if (value === undefined) return ''
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** The figure of a goal, with the row or rows that it is compared with. */
export function reachedIn(of, value) {
  return of
    ? `${value.toFixed(2)} × ${of.length > 1 ? `the best of ${of.join('; ')}` : of}`
    : value.toFixed(2)
}

/** In words, and where a goal stands: 'server CPU, µs: 0.57 of ws (goal 0.60, met)'. */
export function describeGoal(table, { row, column, limit, of, value, met }) {
  const what = `${row}: ${table.columns[column].title}`
  return `${what}: ${reachedIn(of, value)}, goal ${+limit.toFixed(2)}: ${met ? 'met' : 'missed'}`
}

/** For a terminal: a median with the least and the most, then its ratio. */
export function printTable(table) {
  console.log(`\n${table.title}${table.note ? ` (${table.note})` : ''}`)
  const keys = Object.keys(table.columns)
  const lines = [['', ...keys.map((key) => table.columns[key].title)]]
  for (const { name } of table.rows) lines.push([name, ...keys.map((key) => cell(table, name, key))])
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  for (const line of lines) {
    const cells = line.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])))
    console.log(`  ${cells.join('   ').trimEnd()}`)
  }
  for (const verdict of verdicts(table))
    console.log(`  ${verdict.met ? 'met   ' : 'MISSED'}  ${describeGoal(table, verdict)}`)
  for (const { name, faults } of table.rows)
    for (const fault of faults) console.log(`  FAULT ${name}: ${fault}`)
}

function cell(table, name, key) {
  const found = figure(table, name, key)
  if (!found) return '–'
  const { digits, ratio: shown } = table.columns[key]
  const [median, min, max] = [found.median, found.min, found.max].map((value) => format(value, digits))
  const spread = min === max ? '' : ` (${min}–${max})`
  const times = shown ? ratio(table, name, key) : undefined
  return `${median}${spread}${times === undefined ? '' : ` ×${times.toFixed(2)}`}`
}
