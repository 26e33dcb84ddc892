// One contestant's server in a process of its own: `server.mjs <library> <role> <options as JSON>`. Roles: 'echo'; 'broadcast': 'go 8'
// sends eight numbered messages to everybody in one turn; 'rooms': each client is in as many rooms as options.rooms says, and 'go 8' sends
// one message to each of eight rooms.
import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { selfSigned } from '../../scripts/self-signed.mjs'
import { pageFiles } from '../browser/files.mjs'
import { serve } from '../processes.mjs'
import { library } from './contestants/index.mjs'
import { broadcastText, roomText } from './driver.mjs'

const [name, role, json] = process.argv.slice(2)
const options = JSON.parse(json)

/** Sessions that are open now, and answers that are under way now: what others wait for. */
const now = { open: 0, held: 0 }
let waiting = []

function changed() {
  const met = waiting.filter(({ wanted }) => isSo(wanted))
  if (met.length === 0) return
  waiting = waiting.filter((each) => !met.includes(each))
  for (const { resolve } of met) resolve()
}

function isSo(wanted) {
  return Object.entries(wanted).every(([key, value]) => now[key] === value)
}

if (options.held) {
  subscribe('http.server.request.start', () => {
    now.held++
    changed()
  })
  subscribe('http.server.response.finish', () => {
    now.held--
    changed()
  })
}

const roles = {
  echo: (send) => send,

  broadcast() {
    return (data) => {
      for (let i = times(data); i > 0; i--) offer.broadcast(broadcastText(published++))
    }
  },

  rooms(_send, socket) {
    const { rooms } = options
    for (let i = 0; i < rooms; i++) offer.join(socket, `room ${roomCount++}`)
    return (data) => {
      // Neighbours are rooms of one client: a step that has no factor in common with the count visits all in turn.
      for (let i = times(data); i > 0; i--) {
        roomNow = (roomNow + 7919) % roomCount
        offer.publish(`room ${roomNow}`, roomText)
      }
    }
  },
}
let published = 0
let roomCount = 0
let roomNow = 0

function times(data) {
  return Number(String(data).slice(3))
}

const application = {
  opened(send, socket) {
    now.open++
    if (waiting.length > 0) changed()
    return roles[role](send, socket)
  },
  closed() {
    now.open--
    if (waiting.length > 0) changed()
  },
}

let offer
let server
let delay
let utilization

serve({
  async listen({ addresses = 1 } = {}) {
    server = options.secure ? createSecureServer(selfSigned(), pageFiles) : createServer(pageFiles)
    offer = await library(name).serve(server, application, options)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address()
    for (let i = 2; i <= addresses; i++) {
      const other = createTcpServer({ noDelay: true }, (socket) => server.emit('connection', socket))
      await new Promise((resolve) => other.listen(port, `127.0.0.${i}`, resolve))
    }
    return port
  },

  /** Once so many sessions are open, or so many answers held. */
  until,

  now: () => now,

  /** Once so many sessions are open, an answer is held for each, and no connection is left beside those. */
  async idle(sessions) {
    await until({ open: sessions, held: sessions })
    const connections = () =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
    while ((await connections()) > sessions) await new Promise((resolve) => setTimeout(resolve, 50))
  },

  /** CPU time so far in µs, of all threads of this process. */
  cpu,

  /** What is in use after a thorough collection, in bytes. */
  memory,

  watchDelay() {
    delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    utilization = performance.eventLoopUtilization()
  },

  /** How late the event loop was, in ms, and which share of the time it was busy. */
  delay() {
    delay.disable()
    return {
      // A timer of 1 ms asks.
      delay: Math.max(0, delay.percentile(99) / 1e6 - 1),
      load: performance.eventLoopUtilization(utilization).utilization,
    }
  },
})

function until(wanted) {
  return isSo(wanted) ? undefined : new Promise((resolve) => waiting.push({ wanted, resolve }))
}

function cpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function memory() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc()
    // What is freed between two collections is freed in turns of the event loop.
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  }
  const { heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed, external }
}
