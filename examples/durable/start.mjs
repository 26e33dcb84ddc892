// A bank on three servers that are killed again and again, while a client orders transfers. In the end the balances are compared with
// what was ordered. `node examples/durable/start.mjs`, after `npm run build` and `npm install --prefix examples/durable/bank`.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'everwire'
import { startRoundRobin } from '../cluster/balancer.mjs'
import { answers, freePort } from '../cluster/ports.mjs'
import { Bank } from './bank/bank.mjs'

const { KILLS = '10', TRANSPORT } = process.env
const inFlight = 16
const folder = mkdtempSync(join(tmpdir(), 'everwire-durable-'))
const file = join(folder, 'bank.db')
const bank = new Bank(file)

const redisPort = await freePort()
const redis = spawn('redis-server', ['--port', `${redisPort}`, '--bind', '127.0.0.1', '--save', ''], {
  cwd: folder,
  stdio: 'ignore',
})
redis.once('error', (why) => {
  throw new Error('redis-server does not start: is it installed?', { cause: why })
})
process.once('exit', () => redis.kill())
await answers(redisPort)

// ---- three servers ----

let again = 0
/** The server that has the session. */
let owner
const nodes = new Set()

async function start(port = 0) {
  const env = { ...process.env, PORT: String(port), REDIS_URL: `redis://127.0.0.1:${redisPort}`, FILE: file }
  const child = fork(fileURLToPath(new URL('node.mjs', import.meta.url)), { env })
  const node = { child, port }
  nodes.add(node)
  const listens = new Promise((resolve) => {
    child.on('message', (word) => {
      if (word.has) owner = node
      if (word.again) again++
      if (word.port) resolve(word.port)
    })
  })
  node.port = await listens
  return node
}
for (let i = 0; i < 3; i++) await start()
const balancer = await startRoundRobin({ port: 0, page: 0, nodes: [...nodes].map(({ port }) => port) })

// ---- a client ----

const expected = { ada: 0, ben: 0, cem: 0 }
const names = Object.keys(expected)
let ordered = 0
let answered = 0
let isEnding = false
let wrong
let changed = () => {}

const socket = new WebSocket(`http://127.0.0.1:${balancer.port}/realtime`, [], {
  ...(TRANSPORT && { transports: [TRANSPORT] }),
})
function order() {
  const [from, to] = names.sort(() => Math.random() - 0.5)
  const cents = 1 + Math.floor(Math.random() * 1_000)
  expected[from] -= cents
  expected[to] += cents
  socket.send(JSON.stringify({ order: ordered++, from, to, cents }))
}
socket.onopen = () => {
  for (let i = 0; i < inFlight; i++) order()
}
socket.onmessage = ({ data }) => {
  const { done } = JSON.parse(data)
  if (done !== answered) wrong ??= `the answer to order ${done} came in place of that to ${answered}`
  answered++
  if (!isEnding) order()
  changed()
}
socket.onclose = ({ code, reason }) => {
  if (code !== 1000) wrong ??= `the session was closed: ${code} ${reason}`
  changed()
}
async function until(holds) {
  while (!holds() && !wrong)
    await new Promise((resolve) => {
      changed = resolve
    })
}

// ---- kills ----

const starting = []
for (let kill = 1; kill <= Number(KILLS) && !wrong; kill++) {
  const goal = answered + 100
  await until(() => answered >= goal)
  // In the middle of something.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 50))
  const { child, port } = owner
  child.kill('SIGKILL')
  await once(child, 'exit')
  nodes.delete(owner)
  console.log(`kill ${kill}: after ${answered} answers; ${again} transfers were told again so far`)
  starting.push(start(port))
}
isEnding = true
await until(() => answered === ordered)
socket.close(1000)
await until(() => socket.readyState === 3)

const balances = bank.balances()
for (const name of names) {
  const { [name]: cents = 0 } = balances
  console.log(`${name}: ${cents} cents, ordered ${expected[name]}`)
  if (cents !== expected[name]) wrong ??= `the balance of ${name} is wrong`
}
console.log(
  wrong ? `WRONG: ${wrong}` : `exactly once: ${ordered} transfers, ${KILLS} kills, ${again} told again`,
)
process.exitCode = wrong ? 1 : 0

await Promise.all(starting)
for (const { child } of nodes) child.kill('SIGKILL')
await balancer.stop()
bank.close()
redis.kill()
await once(redis, 'exit')
rmSync(folder, { recursive: true, force: true })
