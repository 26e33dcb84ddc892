// `npm run picture:dashboard`: draws docs/pictures/dashboard.svg. The example server of examples/monitoring runs for four minutes,
// clients reach it over a network that becomes worse and better again, and a Prometheus evaluates the dashboard's own expressions.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureBuilt } from './build.mjs'
import { drawDashboard } from './draw-dashboard.mjs'
import { ensureInstalled, root, run } from './run.mjs'
import { installPackages } from './tools.mjs'

ensureInstalled()
await ensureBuilt()
if (!run('prometheus', ['--version'], { quiet: true }).ok) installPackages(['prometheus'])
const built = (/** @type {string} */ file) => import(new URL(`../dist/${file}`, import.meta.url).href)
const { WebSocket } = await built('client/node.js')
const { hostileNetwork } = await built('testing/index.js')
const { WebSocket: Ordinary } = await import('ws')

const seconds = 240
const scrapeEvery = 2
/** What Grafana makes of `$__rate_interval` for this: four scrapes, and one more. */
const rateInterval = '10s'

const folder = mkdtempSync(join(tmpdir(), 'everwire-dashboard-'))
/** @type {(() => unknown)[]} */
const ends = [() => rmSync(folder, { recursive: true })]
try {
  const port = await freePort()
  start(process.execPath, ['examples/monitoring/server.mjs'], { PORT: String(port) })
  const prometheus = await startPrometheus(port)
  await answers(`http://127.0.0.1:${port}/metrics`)
  await answers(`${prometheus}/-/ready`)
  const network = await hostileNetwork(port, { seed: 1, delay: 20 })
  ends.push(() => network.close())
  const began = Date.now()
  await talk(network, port)
  const panels = await evaluated(prometheus, began / 1000, Date.now() / 1000)
  writeFileSync(join(root, 'docs/pictures/dashboard.svg'), drawDashboard(panels, seconds))
} finally {
  for (const end of ends.reverse()) await end()
}
process.exit()

/**
 * What happens in the four minutes.
 * @param {any} network a hostile network
 * @param {number} port
 */
async function talk(network, port) {
  const address = `ws://127.0.0.1:${network.port}/realtime`
  const clients = new Set()
  const arrive = () => {
    const socket = new WebSocket(address, [], { remember: false })
    clients.add(socket)
    const timer = setInterval(() => socket.readyState === 1 && socket.send('x'.repeat(200)), 1000)
    socket.on('error', () => {})
    socket.on('close', () => clearInterval(timer))
  }
  const leave = () => {
    const [oldest] = clients
    if (!oldest) return
    clients.delete(oldest)
    oldest.close(1000)
  }
  for (let i = 0; i < 5; i++) {
    const socket = new Ordinary(`ws://127.0.0.1:${port}/realtime`)
    socket.on('error', () => {})
    ends.push(() => socket.terminate())
  }
  const refused = { Origin: 'http://other.example' }
  for (let second = 0; second < seconds; second++) {
    if (second < 40 || second % 4 === 0) arrive()
    if (second >= 40 && second % 4 === 2) leave()
    if (second === 70) {
      network.set({ upgrade: 403 })
      network.cut()
    }
    if (second === 130) network.set({ upgrade: 'pass' })
    if (second === 185) {
      network.set({ connections: 'refuse' })
      network.cut()
    }
    if (second === 195) network.set({ connections: 'pass' })
    if (second > 90 && second < 120)
      await fetch(`http://127.0.0.1:${port}/realtime?everwire=1`, { method: 'POST', headers: refused })
    await sleep(1000)
  }
  for (const socket of clients) ends.push(() => socket.terminate())
}

/**
 * The panels of the dashboard with their values.
 * @param {string} prometheus
 * @param {number} from
 * @param {number} to
 * @returns {Promise<import('./draw-dashboard.mjs').Panel[]>}
 */
async function evaluated(prometheus, from, to) {
  const { panels } = JSON.parse(readFileSync(join(root, 'examples/monitoring/grafana.json'), 'utf8'))
  return Promise.all(
    panels.map(async (/** @type {any} */ { type, title, gridPos, targets, fieldConfig }) => {
      const series = await Promise.all(
        targets.map(async (/** @type {any} */ { expr, legendFormat }) => {
          const query = expr
            .replaceAll('$job', '.*')
            .replaceAll('$instance', '.*')
            .replaceAll('$__rate_interval', rateInterval)
          const url = `${prometheus}/api/v1/query_range?${new URLSearchParams({ query, start: String(from), end: String(to), step: '3' })}`
          const { data, error } = /** @type {any} */ (await (await fetch(url)).json())
          if (error) throw new Error(`${query}: ${error}`)
          return data.result.map((/** @type {any} */ { metric, values }) => ({
            name: legendFormat.replace(
              /\{\{(\w+)\}\}/g,
              (/** @type {any} */ _, /** @type {string} */ label) =>
                label === 'instance' ? 'the server' : (metric[label] ?? ''),
            ),
            points: values.map((/** @type {[number, string]} */ [at, value]) => [at - from, Number(value)]),
          }))
        }),
      )
      const { unit, custom } = fieldConfig.defaults
      return {
        type,
        title,
        gridPos,
        unit,
        stacked: custom?.stacking?.mode === 'normal',
        series: series.flat(),
      }
    }),
  )
}

/** @param {number} target */
async function startPrometheus(target) {
  const port = await freePort()
  const config = join(folder, 'prometheus.yml')
  writeFileSync(
    config,
    `global: { scrape_interval: ${scrapeEvery}s, evaluation_interval: ${scrapeEvery}s }
scrape_configs: [{ job_name: everwire, static_configs: [{ targets: ['127.0.0.1:${target}'] }] }]
`,
  )
  start('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ])
  return `http://127.0.0.1:${port}`
}

/** @param {string} command @param {string[]} args @param {Record<string, string>} [env] */
function start(command, args, env) {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'ignore' })
  ends.push(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
}

/** @param {string} url */
async function answers(url) {
  while (
    !(await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(200)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}
