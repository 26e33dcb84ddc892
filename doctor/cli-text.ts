/** Formats a report for a terminal, and shows the progress until the report is there. */
import {
  type Progress,
  type Report,
  type TransportReport,
  time,
  transportNames,
  transports,
} from './report.ts'

/** The part of a writable stream that the doctor uses. */
export interface Output {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export type Paint = Readonly<Record<'good' | 'fair' | 'bad' | 'soft' | 'bold', (text: string) => string>>

const ansi =
  (code: number) =>
  (text: string): string =>
    `\x1b[${code}m${text}\x1b[0m`
const same = (text: string): string => text

export const paints: Readonly<Record<'colours' | 'plain', Paint>> = {
  colours: { good: ansi(32), fair: ansi(33), bad: ansi(31), soft: ansi(2), bold: ansi(1) },
  plain: { good: same, fair: same, bad: same, soft: same, bold: same },
}

const width = 100

export function draw(report: Report, paint: Paint): string {
  const { server, transports: found, bodies, plan, advice } = report
  const lines = [
    `${paint.bold(report.url)}  ${paint.soft(`${time(report.took)}`)}`,
    sentence(server.says),
    '',
  ]
  if (server.kind === 'everwire') {
    const rows = transports.map((name) => row(found[name]))
    const widths = titles.map((title, i) =>
      Math.max(title.length, ...rows.map(({ cells }) => cells[i]?.length ?? 0)),
    )
    const line = (cells: readonly string[]): string =>
      cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')
    lines.push(paint.soft(line(titles).trimEnd()))
    for (const { cells, how, says } of rows) {
      const [name = '', ...rest] = cells
      const indent = widths.reduce((sum, one) => sum + one + 2, 0)
      const [first = '', ...more] = wrap(says, width - indent)
      lines.push(`${paint[how](line([name, ...rest]))}  ${first}`)
      for (const one of more) lines.push(' '.repeat(indent) + one)
    }
    if (bodies) lines.push('', ...wrap(`Request bodies: ${bodies.says}.`, width))
    lines.push('', paint.bold('What everwire does here'), ...items(plan.says))
  }
  if (advice.length > 0)
    lines.push(...(lines.at(-1) === '' ? [] : ['']), paint.bold('What can be done'), ...items(advice))
  return `${lines.join('\n').trimEnd()}\n`
}

const titles = ['', 'gets through', 'round trip', 'held']

function row(report: TransportReport): { cells: string[]; how: 'good' | 'fair' | 'bad'; says: string } {
  const { transport, outcome, usable, roundTrip, held, says } = report
  const how = outcome === 'works' ? 'good' : usable ? 'fair' : 'bad'
  const through =
    outcome === 'works' ? 'yes' : outcome === 'unknown' ? '?' : usable ? `yes, ${outcome}` : outcome
  const cells = [
    transportNames[transport],
    usable || through === '?' ? through : `no: ${through}`,
    roundTrip === undefined ? '' : time(roundTrip),
    held === undefined ? '' : time(held),
  ]
  return { cells, how, says: sentence(says) }
}

function items(texts: readonly string[]): string[] {
  return texts.flatMap((text) =>
    wrap(text, width - 2).map((line, i) => (i === 0 ? `- ${line}` : `  ${line}`)),
  )
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.?!]$/.test(whole) ? whole : `${whole}.`
}

function wrap(text: string, most: number): string[] {
  const lines: string[] = []
  let line = ''
  // Do not break a line between a number and its unit.
  for (const word of text.split(/ (?!(?:m?s|[KM]iB|bytes)\b)/)) {
    if (line !== '' && line.length + 1 + word.length > most) {
      lines.push(line)
      line = word
    } else line += (line === '' ? '' : ' ') + word
  }
  return [...lines, line]
}

/** Shows the progress: on a terminal one line that changes, elsewhere one line for each finished step. */
export function drawer(
  err: Output,
  { TERM, CI }: Readonly<Record<string, string | undefined>>,
): { show(progress: Progress): void; end(): void } {
  if (!err.isTTY || TERM === 'dumb' || CI) {
    return {
      show: ({ done, of, says }) => err.write(`${done === 0 ? '' : `[${done}/${of}] `}${says}\n`),
      end: () => {},
    }
  }
  const begun = performance.now()
  let last: Progress | undefined
  const line = (): void => {
    if (!last) return
    const bar = '#'.repeat(last.done).padEnd(last.of, '.')
    const ready = transports.filter((name) => last?.transports[name])
    const known = ready.map(
      (name) => `${transportNames[name]} ${last?.transports[name]?.usable ? 'yes' : 'no'}`,
    )
    const seconds = ((performance.now() - begun) / 1000).toFixed(0)
    err.write(
      `\r\x1b[2K[${bar}] ${seconds} s  ${(known.length > 0 ? known.join(', ') : last.says).slice(0, 60)}`,
    )
  }
  // Redraw regularly, so that the user sees progress even while no step ends.
  const timer = setInterval(line, 500)
  return {
    show(progress) {
      last = progress
      line()
    },
    end() {
      clearInterval(timer)
      err.write('\r\x1b[2K')
    },
  }
}
