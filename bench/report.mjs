// Figures of several rounds, their medians, the bars beside them, and how it is printed.
import { cpus } from 'node:os'
import { versions } from './peers.mjs'

export class Table {
  #rows = new Map()
  #bars = []

  /** `columns`: key → { title, digits }; the ratio printed is that of the first column to the row `against`. */
  constructor(title, columns, against) {
    this.title = title
    this.columns = columns
    this.against = against
  }

  /** One round's figures of a row. */
  add(row, figures) {
    const { rounds } = this.#row(row)
    rounds.push(figures)
  }

  /** The row could not be measured, or what it did was wrong. */
  fault(row, message) {
    const { faults } = this.#row(row)
    if (!faults.includes(message)) faults.push(message)
  }

  /**
   * `column` of `row` is to be at most `limit` times that of `of`; `exact` where it is not a matter of time or luck, so
   * that missing it is a failure.
   */
  bar(row, column, limit, { of = this.against, exact = false } = {}) {
    this.#bars.push({ row, column, limit, of, exact })
  }

  get results() {
    const names = [...this.#rows.keys()]
    const rows = names.map((name) => {
      const { faults } = this.#row(name)
      const figures = {}
      for (const key in this.columns) {
        const found = this.#figure(name, key)
        if (found) figures[key] = { ...found, ratio: this.#ratio(name, key, this.against) }
      }
      return { name, figures, faults }
    })
    const bars = this.#bars.flatMap((bar) => {
      const value = this.#ratio(bar.row, bar.column, bar.of)
      return value === undefined ? [] : [{ ...bar, value, pass: value <= bar.limit }]
    })
    return { title: this.title, against: this.against, columns: this.columns, rows, bars }
  }

  #row(name) {
    let row = this.#rows.get(name)
    if (!row) {
      row = { rounds: [], faults: [] }
      this.#rows.set(name, row)
    }
    return row
  }

  #figure(row, key) {
    const values = (this.#rows.get(row)?.rounds ?? []).map((round) => round[key]).filter(Number.isFinite)
    if (values.length === 0) return undefined
    values.sort((a, b) => a - b)
    const middle = values.length >> 1
    const median = values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2
    return { median, min: values[0], max: values.at(-1) }
  }

  #ratio(row, key, of) {
    const a = this.#figure(row, key)
    const b = this.#figure(of, key)
    return a && b && b.median !== 0 ? a.median / b.median : undefined
  }
}

export function machine() {
  const found = cpus()
  return {
    cpu: `${found.length} × ${found[0]?.model.trim()}`,
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    versions: versions(),
  }
}

export function printMachine({ cpu, system, node, versions: found }) {
  console.log(`${cpu}, ${system}, Node ${node}`)
  console.log(
    Object.entries(found)
      .map((pair) => pair.join(' '))
      .join(', '),
  )
}

export function printTable({ title, against, columns, rows, bars }) {
  console.log(`\n${title}`)
  const keys = Object.keys(columns)
  const lines = [['', ...keys.map((key) => columns[key].title), against ? `ratio to ${against}` : '']]
  for (const { name, figures } of rows) {
    const cells = keys.map((key) => format(figures[key], columns[key].digits))
    lines.push([name, ...cells, figures[keys[0]]?.ratio?.toFixed(2) ?? ''])
  }
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  for (const line of lines) {
    const cells = line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    console.log(`  ${cells.join('   ').trimEnd()}`)
  }
  for (const { row, column, value, limit, of, pass } of bars) {
    const shown = columns[column].title
    console.log(
      `  ${pass ? 'pass' : 'MISS'}  ${row}, ${shown}: ${value.toFixed(2)} of ${of}, bar ${+limit.toFixed(2)}`,
    )
  }
  for (const { name, faults } of rows) for (const fault of faults) console.log(`  FAULT ${name}: ${fault}`)
}

function format(figure, digits) {
  if (!figure) return '–'
  const [median, min, max] = [figure.median, figure.min, figure.max].map((value) => value.toFixed(digits))
  return min === max ? median : `${median} (${min}–${max})`
}
