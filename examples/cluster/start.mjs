// A chat on three servers behind one address. `node examples/cluster/start.mjs`, after `npm run build`.
// The page shows which server has its session, and can kill or restart each of them.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { redisPublisher } from 'everwire/redis'
import { hasNginx, startNginx, startRoundRobin } from './balancer.mjs'
import { answers, isOpen } from './ports.mjs'

const { PORT = '8080', REDIS_URL = 'redis://127.0.0.1:6379', BALANCER } = process.env
const prefix = 'everwire-example:'
const here = (name) => fileURLToPath(new URL(name, import.meta.url))

// ---- Redis ----

const { hostname, port: redisPort } = new URL(REDIS_URL)
let redis
if (await isOpen(Number(redisPort || 6379), hostname)) console.log(`Redis runs at ${hostname}`)
else if (hostname === '127.0.0.1' || hostname === 'localhost') {
  redis = spawn('redis-server', ['--port', redisPort || '6379', '--bind', '127.0.0.1', '--save', ''], {
    cwd: tmpdir(),
    stdio: 'ignore',
    // Ctrl-C must not reach it before the servers have ended.
    detached: true,
  })
  const failed = Promise.race([once(redis, 'exit'), once(redis, 'error')]).catch((error) => error)
  await Promise.race([
    answers(Number(redisPort || 6379)),
    failed.then((why) => {
      throw new Error('redis-server does not start: is it installed? Or set REDIS_URL', { cause: why })
    }),
  ])
  console.log('Redis was started')
} else throw new Error(`Redis at ${hostname} cannot be reached`)

// ---- three servers ----

const publisher = redisPublisher({ url: REDIS_URL, prefix })
/** @type {Map<string, { child?: import('node:child_process').ChildProcess, port: number, state: string }>} */
const nodes = new Map(['red', 'green', 'blue'].map((name) => [name, { port: 0, state: 'gone' }]))
let isOver = false

const states = () => Object.fromEntries([...nodes].map(([name, { state }]) => [name, state]))
function change(name, state) {
  nodes.get(name).state = state
  if (!isOver) publisher.publish('room', JSON.stringify({ nodes: states() }))
}

async function start(name) {
  const node = nodes.get(name)
  change(name, 'starting')
  const child = fork(here('node.mjs'), {
    env: { ...process.env, NAME: name, PORT: String(node.port), REDIS_URL, PREFIX: prefix },
  })
  node.child = child
  child.once('exit', () => {
    const isWanted = node.state === 'restarting'
    change(name, 'gone')
    if (isWanted && !isOver) start(name)
  })
  const [{ port }] = await once(child, 'message')
  node.port = port
  change(name, 'up')
}

const actions = {
  kill: (name) => nodes.get(name).child.kill('SIGKILL'),
  restart(name) {
    change(name, 'restarting')
    nodes.get(name).child.kill('SIGTERM')
  },
  start,
}

await Promise.all([...nodes.keys()].map(start))

// ---- the page, and its buttons ----

const files = {
  '/': ['public/index.html', 'text/html'],
  '/page.js': ['public/page.js', 'text/javascript'],
  '/style.css': ['public/style.css', 'text/css'],
}
const page = createServer((request, response) => {
  const { method, url, headers } = request
  const [file, type] = files[url] ?? []
  const [, name, action] = /^\/nodes\/(\w+)\/(\w+)$/.exec(url) ?? []
  if (method === 'GET' && file)
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(readFileSync(here(file)))
  else if (method === 'GET' && url === '/nodes')
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(states()))
  // Only our own page: browsers let no other one send this header.
  else if (method === 'POST' && headers['x-example'] && nodes.has(name) && Object.hasOwn(actions, action)) {
    const { state } = nodes.get(name)
    const isPossible = action === 'start' ? state === 'gone' : state === 'up'
    if (isPossible) actions[action](name)
    response.writeHead(isPossible ? 204 : 409).end()
  } else response.writeHead(404).end()
})
page.listen(0, '127.0.0.1')
await once(page, 'listening')

// ---- one address ----

const places = {
  port: Number(PORT),
  nodes: [...nodes.values()].map(({ port }) => port),
  page: page.address().port,
}
const isNginx = BALANCER !== 'node' && hasNginx()
if (!isNginx) console.log('There is no nginx: a small balancer in Node takes its place')
const balancer = await (isNginx ? startNginx(places) : startRoundRobin(places))
console.log(`http://127.0.0.1:${balancer.port}/`)

async function end() {
  if (isOver) return
  isOver = true
  const ending = [...nodes.values()].map(({ child, state }) => {
    if (state === 'gone') return undefined
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    return ended
  })
  await Promise.all([balancer.stop(), publisher.close(), ...ending])
  page.close()
  page.closeAllConnections()
  redis?.kill()
}
process.once('SIGINT', end)
process.once('SIGTERM', end)
