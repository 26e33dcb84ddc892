// What the durable mode of a cluster costs: `node test/cluster/durable-cost.mjs`. The CPU of the server, which answers each message, in fast and in
// durable mode; and how many commands that is for Redis. Needs redis-server and a build.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'everwire'
import { createClient } from 'redis'

const warmUp = 10_000
const messages = Number(process.env.MESSAGES ?? 60_000)
const settings = [
  { clients: 1, inFlight: 16 },
  { clients: 16, inFlight: 1 },
  { clients: 16, inFlight: 16 },
  { clients: 100, inFlight: 1 },
]

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

const port = await freePort()
const redis = spawn('redis-server', ['--port', `${port}`, '--save', '', '--appendonly', 'no'], {
  stdio: 'ignore',
})
const admin = createClient({ url: `redis://127.0.0.1:${port}` })
admin.on('error', () => {})
await admin.connect()

/** How often Redis has run a script, and with how many sessions' changes. */
async function commands() {
  const text = await admin.info('commandstats')
  const calls = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0)
  const micros = Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(text)?.[1] ?? 0)
  return { scripts: calls('evalsha'), changes: calls('hset'), micros }
}

async function measure(durable, { clients, inFlight }) {
  const program = fileURLToPath(new URL('durable-node.mjs', import.meta.url))
  const env = {
    ...process.env,
    REDIS: `redis://127.0.0.1:${port}`,
    DURABLE: durable ? 'yes' : 'no',
    CPU: 'yes',
  }
  const server = fork(program, { env })
  const says = async (key) => {
    for (;;) {
      const [word] = await once(server, 'message')
      if (word[key] !== undefined) return word[key]
    }
  }
  const url = `http://127.0.0.1:${await says('port')}/realtime`
  let answered = 0
  let reached = () => {}
  let target = 0
  const sockets = Array.from({ length: clients }, () => {
    const socket = new WebSocket(url, [], { transports: ['websocket'] })
    const text = 'x'.repeat(100)
    socket.onopen = () => {
      for (let i = 0; i < inFlight; i++) socket.send(text)
    }
    socket.onmessage = () => {
      if (++answered === target) reached()
      socket.send(text)
    }
    return socket
  })
  const count = async (number) => {
    target = answered + number
    await new Promise((resolve) => {
      reached = resolve
    })
  }
  const cpu = async () => {
    const told = says('cpu')
    server.send({ cpu: true })
    const { user, system } = await told
    return user + system
  }
  await count(warmUp)
  const [before, first] = [await cpu(), await commands()]
  await count(messages)
  const [after, last] = [await cpu(), await commands()]
  const [key] = (await admin.keys('ew:*:owner')).sort()
  const memory = key === undefined ? 0 : await admin.memoryUsage(key)
  for (const socket of sockets) socket.terminate()
  server.kill('SIGKILL')
  await once(server, 'exit')
  return {
    microseconds: (after - before) / messages,
    scripts: (last.scripts - first.scripts) / messages,
    changes: (last.changes - first.changes) / messages,
    micros: (last.micros - first.micros) / messages,
    memory,
  }
}

try {
  for (const setting of settings) {
    const fast = await measure(false, setting)
    const durable = await measure(true, setting)
    const { clients, inFlight } = setting
    const ratio = (durable.microseconds / fast.microseconds).toFixed(2)
    const cpu = `server ${fast.microseconds.toFixed(1)} and ${durable.microseconds.toFixed(1)} µs, ${ratio} times`
    const commands = `${durable.scripts.toFixed(3)} commands, ${durable.micros.toFixed(1)} µs`
    console.log(
      `${clients} clients, ${inFlight} in flight each, per message: ${cpu}; Redis ${commands}, ${durable.changes.toFixed(3)} sessions stored; a session takes ${durable.memory} bytes there`,
    )
  }
} finally {
  admin.destroy()
  redis.kill()
}
