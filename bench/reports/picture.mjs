// docs/pictures/growth.svg: four charts, in the colours of the other pictures, light and dark.
import { figure, format } from '../tables.mjs'

const [width, height] = [960, 660]
const panel = { width: 456, height: 300, left: 62, right: 116, top: 66, bottom: 40 }
const series = [
  ['everwire', 'a'],
  ['everwire, polling', 'b'],
  ['ws', 'c'],
  ['socket.io', 'd'],
  ['engine.io, polling', 'e'],
]

/** The colours: of paper, ink, what is less important, lines, and the series. */
const light = [
  '#f7f9fb',
  '#1c2733',
  '#51606e',
  '#d5dce2',
  '#3b7dd8',
  '#2a9d8f',
  '#6b7885',
  '#c9742b',
  '#9a5bb8',
]
const dark = [
  '#14191f',
  '#e8edf2',
  '#a3b0bc',
  '#313b45',
  '#6aa5f0',
  '#4cc3b4',
  '#98a5b1',
  '#e69a57',
  '#c08ada',
]

function style([paper, ink, quiet, line, ...colours]) {
  const own = colours.map(
    (colour, i) =>
      `.${series[i][1]}{stroke:${colour}}text.${series[i][1]},rect.${series[i][1]},circle.${series[i][1]}{fill:${colour};stroke:none}`,
  )
  return `text{fill:${quiet}}.t{fill:${ink}}.p{fill:${paper}}.l{stroke:${line}}${own.join('')}`
}

export function growthPicture(tables) {
  const said =
    'Growth: what a message costs beside idle sessions, memory of a session, publications among many topics, delay at half load'
  const panels = [
    lines(tables.get('growth-cpu'), 'A message beside idle sessions', 'server CPU, µs', 'at', 0),
    lines(tables.get('growth-heap'), 'Memory of an idle session', 'server, KB', 'at', 0, 1000),
    lines(tables.get('growth-topics'), 'A publication to one of so many topics', 'server CPU, µs', 'of', 0),
    bars(tables.get('growth-delay'), 'Delay of the event loop at half load', 'p99, ms'),
  ]
  const placed = panels.map((text, i) => {
    const [x, y] = [16 + (i % 2) * (panel.width + 16), 16 + Math.floor(i / 2) * (panel.height + 16)]
    return `<g transform="translate(${x} ${y})">${text}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${said}"><style>
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif;font-size:12px}
.t{font-size:16px;font-weight:650}.m{text-anchor:middle}.r{text-anchor:end}path{fill:none;stroke-width:2.2;stroke-linejoin:round}
${style(light)}
@media(prefers-color-scheme:dark){${style(dark)}}
</style><rect width="${width}" height="${height}" rx="16" class="p"/>
${placed.join('\n')}
</svg>
`
}

function heading(title, unit) {
  return `<text x="${panel.left}" y="26" class="t">${title}</text><text x="${panel.left}" y="46">${unit}</text>`
}

/** From nothing to a round number above the largest. */
function scale(most) {
  const power = 10 ** Math.floor(Math.log10(most))
  const top = [1, 1.5, 2, 3, 4, 6, 8, 10].find((step) => step * power >= most) * power
  const y = (value) => panel.height - panel.bottom - (value / top) * (panel.height - panel.top - panel.bottom)
  const ticks = [0, 0.5, 1].map((share) => share * top)
  const digits = Number.isInteger(top / 2) ? 0 : 1
  const drawn = ticks.map(
    (value) =>
      `<line x1="${panel.left}" x2="${panel.width - panel.right}" y1="${round(y(value))}" y2="${round(y(value))}" class="l"/>` +
      `<text x="${panel.left - 8}" y="${round(y(value) + 4)}" class="r">${format(value, digits)}</text>`,
  )
  return { y, drawn: drawn.join('') }
}

/** Columns whose keys are a prefix and a number, on a logarithmic axis. */
function lines(table, title, unit, prefix, digits, divisor = 1) {
  if (!table) return heading(title, 'not measured')
  const numbers = Object.keys(table.columns)
    .filter((key) => /^[a-z]+\d+$/.test(key) && key.startsWith(prefix))
    .map((key) => Number(key.slice(prefix.length)))
  const [least, most] = [Math.log10(numbers[0]), Math.log10(numbers.at(-1))]
  const x = (number) =>
    panel.left +
    ((Math.log10(number) - least) / (most - least || 1)) * (panel.width - panel.left - panel.right)
  const found = series.flatMap(([name, colour]) => {
    const points = numbers.flatMap((number) => {
      const value = figure(table, name, `${prefix}${number}`)?.median
      if (value === undefined) return []
      // The last point stands where it was measured: the open files of a process may not allow more.
      const reached = number === numbers.at(-1) ? figure(table, name, 'most')?.median : undefined
      return [[x(reached ?? number), value / divisor]]
    })
    return points.length > 0 ? [{ name, colour, points }] : []
  })
  const { y, drawn } = scale(Math.max(...found.flatMap(({ points }) => points.map(([, value]) => value))))
  const labels = spread(found.map(({ points }) => y(points.at(-1)[1])))
  const drawnLines = found.map(({ name, colour, points }, i) => {
    const path = points.map(([at, value], j) => `${j ? 'L' : 'M'}${round(at)} ${round(y(value))}`).join('')
    const last = points.at(-1)
    return (
      `<path d="${path}" class="${colour}"/><circle cx="${round(last[0])}" cy="${round(y(last[1]))}" r="3" class="${colour}"/>` +
      `<text x="${panel.width - panel.right + 8}" y="${round(labels[i] + 4)}" class="${colour}">${name}</text>`
    )
  })
  const bottom = numbers.map(
    (number) =>
      `<text x="${round(x(number))}" y="${panel.height - panel.bottom + 20}" class="m">${format(number, digits)}</text>`,
  )
  return heading(title, unit) + drawn + drawnLines.join('') + bottom.join('')
}

function bars(table, title, unit) {
  if (!table) return heading(title, 'not measured')
  const found = series.flatMap(([name, colour]) => {
    const value = figure(table, name, 'delay')?.median
    return value === undefined ? [] : [{ name, colour, value }]
  })
  const most = Math.max(...found.map(({ value }) => value))
  const [from, to] = [panel.left + 70, panel.width - 60]
  const step = (panel.height - panel.top - 20) / found.length
  const drawn = found.map(({ name, colour, value }, i) => {
    const y = panel.top + i * step
    const long = (value / most) * (to - from)
    return (
      `<text x="${from - 10}" y="${round(y + step / 2 + 4)}" class="r">${name}</text>` +
      `<rect x="${from}" y="${round(y + 8)}" width="${round(long)}" height="${round(step - 16)}" rx="3" class="${colour}"/>` +
      `<text x="${round(from + long + 8)}" y="${round(y + step / 2 + 4)}">${format(value, 1)}</text>`
    )
  })
  return heading(title, unit) + drawn.join('')
}

/** Places for labels that would otherwise stand on each other. */
function spread(wanted) {
  const order = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y)
  for (let j = 1; j < order.length; j++) order[j].y = Math.max(order[j].y, order[j - 1].y + 15)
  const placed = []
  for (const { y, i } of order) placed[i] = y
  return placed
}

function round(value) {
  return +value.toFixed(1)
}
