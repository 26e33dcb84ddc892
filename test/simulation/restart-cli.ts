/** `npm run picture:restart`: draws docs/pictures/restart.svg, and prints the figures for docs/DEPLOYING.md. */
import { writeFileSync } from 'node:fs'
import { restart } from './restart.ts'

const clients = 10_000
const away = 10_000
const { requests, found } = restart({ clients, away, seed: 1 })
const seconds = 20
const shown = requests.slice(0, seconds)

const [width, height] = [960, 380]
const [left, right, top, bottom] = [84, 24, 76, 52]
/** The scale ends a little above the largest. */
const step = 10_000
const most = Math.ceil(Math.max(...shown) / step) * step
const bar = (width - left - right) / seconds
const y = (count: number): number => height - bottom - (count / most) * (height - top - bottom)
const thousands = (count: number): string => count.toLocaleString('en')

/** The colours: of paper, ink, what is less important, lines, bars, and the time without a server. */
const light = ['#f7f9fb', '#1c2733', '#51606e', '#d5dce2', '#3b7dd8', '#fbe9e3']
const dark = ['#14191f', '#e8edf2', '#a3b0bc', '#313b45', '#6aa5f0', '#3a2620']

function style([paper, ink, quiet, line, bars, gone]: readonly string[]): string {
  return `text{fill:${quiet}}.t{fill:${ink}}.p{fill:${paper}}.b{fill:${bars}}.g{fill:${gone}}.l{stroke:${line}}.r{stroke:${quiet}}`
}

function draw(): string {
  const ticks = Array.from({ length: most / step + 1 }, (_, i) => i * step)
  const sorted = [...found].sort((a, b) => a - b)
  const said = `${thousands(clients)} clients, requests in each second. The server is away for ${away / 1000} seconds.`
  const lines = ticks.map(
    (count) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(count)}" y2="${y(count)}" class="l"/>` +
      `<text x="${left - 10}" y="${y(count) + 5}" class="e">${thousands(count)}</text>`,
  )
  const bars = shown.map((count, i) => {
    const x = left + i * bar
    return `<rect x="${(x + 3).toFixed(1)}" y="${y(count).toFixed(1)}" width="${(bar - 6).toFixed(1)}" height="${(height - bottom - y(count)).toFixed(1)}" rx="3" class="b"/>`
  })
  const labels = shown.map((_, i) =>
    i % 2 === 0 ? `<text x="${left + i * bar}" y="${height - bottom + 20}" class="c">${i} s</text>` : '',
  )
  const back = left + (away / 1000) * bar
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${said}"><style>
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif;font-size:13px}
.t{font-size:16px;font-weight:650}.c{text-anchor:middle}.e{text-anchor:end}
${style(light)}
@media(prefers-color-scheme:dark){${style(dark)}}
</style><rect width="${width}" height="${height}" rx="16" class="p"/>
<rect x="${left}" y="${top}" width="${back - left}" height="${height - top - bottom}" class="g"/>
<text x="${left}" y="34" class="t">Requests in each second, of ${thousands(clients)} clients together</text>
<text x="${left}" y="56">Half of them are connected again ${((sorted[clients / 2] as number) / 1000).toFixed(1)} s after the server is back, all after ${((sorted.at(-1) as number) / 1000).toFixed(1)} s.</text>
${lines.join('\n')}
<text x="${left + 10 * bar - 10}" y="${top + 20}" class="e">the server is away</text>
<text x="${back + 10}" y="${top + 20}">the server is back</text>
<line x1="${back}" x2="${back}" y1="${top}" y2="${height - bottom}" class="r" stroke-dasharray="4 4"/>
${bars.join('\n')}
${labels.join('')}
</svg>
`
}

writeFileSync('docs/pictures/restart.svg', draw())
const perClient = shown.slice(0, away / 1000).reduce((sum, count) => sum + count, 0) / clients
console.log(shown.join(' '))
console.log(`${perClient.toFixed(1)} requests a client while the server was away`)
