// Panels of the dashboard as a picture: for light and dark pages, without a script.

/**
 * @typedef {{ name: string, points: [number, number][] }} Series
 * @typedef {{ x: number, y: number, w: number, h: number }} Place in the grid of Grafana, which is 24 wide
 * @typedef {{ type: string, title: string, gridPos: Place, unit: string, stacked: boolean, series: Series[] }} Panel
 */

const [cell, line, gap] = [50, 26, 10]
const width = 24 * cell
/** The panels below this line need a cluster, or are the same for ordinary WebSockets. */
const lowest = 36
const light = ['#15803d', '#2563c9', '#b45309', '#7c3aed', '#be123c', '#0e7490', '#4d7c0f', '#a21caf']
const dark = ['#4ade80', '#7aa9f7', '#f59e42', '#b18cf9', '#fb7185', '#38bdd3', '#a3e635', '#e879f9']

/** A transport has the same colour in each panel. */
const known = ['websocket', 'stream', 'polling', 'sse', 'plain']
const colourOf = (/** @type {string} */ name, /** @type {number} */ index) =>
  (known.includes(name) ? known.indexOf(name) : index) % light.length

/**
 * @param {readonly Panel[]} panels
 * @param {number} seconds
 */
export function drawDashboard(panels, seconds) {
  const shown = panels.filter(({ gridPos }) => gridPos.y < lowest)
  const height = Math.max(...shown.map(({ gridPos }) => gridPos.y + gridPos.h)) * line
  const colours = (/** @type {string[]} */ list) =>
    list.map((colour, i) => `.f${i}{fill:${colour}}.s${i}{stroke:${colour}}`).join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height + gap}" width="${width}" height="${height + gap}" role="img" aria-label="The panels of the dashboard: numbers of now, and charts of ${seconds / 60} minutes"><style>
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif;font-size:11px;fill:#51606e}
.t{font-size:13px;font-weight:650;fill:#1c2733}.n{font-size:30px;font-weight:650;fill:#1c2733}.c{text-anchor:middle}.e{text-anchor:end}
.p{fill:#f7f9fb}.k{fill:#fff;stroke:#d5dce2}.l{stroke:#e3e8ed}.a{fill-opacity:.2}.o{fill:none;stroke-width:1.6;stroke-linejoin:round}
${colours(light)}
@media(prefers-color-scheme:dark){text{fill:#a3b0bc}.t,.n{fill:#e8edf2}.p{fill:#14191f}.k{fill:#1b2229;stroke:#313b45}.l{stroke:#2b343d}${colours(dark)}}
</style><rect width="${width}" height="${height + gap}" class="p"/>
${shown.map((panel) => (panel.type === 'stat' ? stat(panel) : chart(panel, seconds))).join('\n')}
</svg>
`
}

/** @param {Panel} panel */
function stat({ title, gridPos, unit, series }) {
  const value = series[0]?.points.at(-1)?.[1]
  const words = value === undefined ? 'No data' : inUnit(value, unit)
  const { left, top, wide, high } = area(gridPos)
  return `${card(gridPos, title)}<text x="${left + wide / 2}" y="${top + high / 2 + 22}" class="n c">${words}</text>`
}

/** @param {Panel} panel @param {number} seconds */
function chart({ title, gridPos, unit, stacked, series }, seconds) {
  const { left, top, wide, high } = area(gridPos)
  const [from, right, up, down] = [left + 62, left + wide - 12, top + 36, top + high - 46]
  const told = series.filter(({ points }) => points.some(([, value]) => value !== 0))
  const colours = told.map(({ name }, i) => colourOf(name, i))
  /** @type {Map<number, number>} */
  const sums = new Map()
  const lines = told.map(({ points }) =>
    points.map(([at, value]) => {
      const low = stacked ? (sums.get(at) ?? 0) : 0
      sums.set(at, low + value)
      return { at, low, high: low + value }
    }),
  )
  const most = ceiling(Math.max(0, ...lines.flat().map(({ high }) => high)), unit)
  const x = (/** @type {number} */ at) => (from + (at / seconds) * (right - from)).toFixed(1)
  const y = (/** @type {number} */ value) => (down - (value / most) * (down - up)).toFixed(1)
  const grid = [0, most / 2, most].map(
    (value) =>
      `<line x1="${from}" x2="${right}" y1="${y(value)}" y2="${y(value)}" class="l"/><text x="${from - 6}" y="${Number(y(value)) + 4}" class="e">${inUnit(value, unit)}</text>`,
  )
  const times = Array.from(
    { length: seconds / 60 + 1 },
    (_, minute) =>
      `<text x="${x(minute * 60)}" y="${down + 15}" class="${minute * 60 === seconds ? 'e' : 'c'}">${minute}:00</text>`,
  )
  const drawn = lines.map((points, i) => {
    const over = points.map(({ at, high }) => `${x(at)},${y(high)}`).join(' ')
    const under = points
      .map(({ at, low }) => `${x(at)},${y(low)}`)
      .reverse()
      .join(' ')
    const fill = stacked ? `<polygon points="${over} ${under}" class="a f${colours[i]}"/>` : ''
    return `${fill}<polyline points="${over}" class="o s${colours[i]}"/>`
  })
  const legend = legendOf(told, left + 14, left + wide).map(({ name, x, row, rows }, i) => {
    const base = top + high - (rows === 1 ? 12 : 17 - 12 * row)
    return `<rect x="${x}" y="${base - 8}" width="9" height="9" rx="2" class="f${colours[i]}"/><text x="${x + 13}" y="${base}">${name}</text>`
  })
  if (told.length === 0) legend.push(`<text x="${left + 14}" y="${top + high - 12}">0 all the time</text>`)
  return card(gridPos, title) + [...grid, ...times, ...drawn, ...legend].join('')
}

/**
 * Where the names of a chart stand, in as many rows as they need.
 * @param {readonly Series[]} told @param {number} from @param {number} to
 */
function legendOf(told, from, to) {
  let [at, row] = [from, 0]
  const places = told.map(({ name }) => {
    const wide = Math.round(26 + name.length * 5.8)
    if (at > from && at + wide > to) [at, row] = [from, row + 1]
    at += wide
    return { name, x: at - wide, row }
  })
  return places.map((place) => ({ ...place, rows: row + 1 }))
}

/** @param {Place} place */
function area({ x, y, w, h }) {
  return { left: x * cell + gap / 2, top: y * line + gap, wide: w * cell - gap, high: h * line - gap }
}

/** @param {Place} place @param {string} title */
function card(place, title) {
  const { left, top, wide, high } = area(place)
  return `<rect x="${left}" y="${top}" width="${wide}" height="${high}" rx="6" class="k"/><text x="${left + 14}" y="${top + 21}" class="t">${title}</text>`
}

/** The next round number. @param {number} value @param {string} unit @returns {number} */
function ceiling(value, unit) {
  if (value === 0) return 1
  const thousand = 1024 ** powerOf(value)
  if (isBytes(unit) && thousand > 1) return ceiling(value / thousand, '') * thousand
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power
}

/** @param {number} value @param {string} unit of Grafana */
function inUnit(value, unit) {
  const number = (/** @type {number} */ n) => String(Number(n.toPrecision(n >= 100 ? 3 : 2)))
  if (unit === 'percentunit') return value > 0 && value < 0.0001 ? '&lt;0.01 %' : `${number(value * 100)} %`
  if (isBytes(unit)) {
    const power = powerOf(value)
    return `${number(value / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB'][power]}${unit === 'Bps' ? '/s' : ''}`
  }
  return unit === 'short' ? number(value) : `${number(value)}/s`
}

const isBytes = (/** @type {string} */ unit) => unit === 'bytes' || unit === 'Bps'
const powerOf = (/** @type {number} */ bytes) =>
  bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10))
