// The server that is attacked, in a process of its own, so that what it keeps can be counted: `node --expose-gc`.
import { WebSocketServer } from '../../dist/server/index.js'

const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', ...JSON.parse(process.argv[2]) })
const kept = []
let shown = 0
let ended = 0

realtime.on('connection', (socket) => {
  shown++
  socket.on('error', () => {})
  socket.on('close', () => ended++)
  socket.on('message', (data) => {
    if (data.length <= 16) kept.push(data)
    const [, size] = /^give (\d+)$/.exec(data.length < 32 ? String(data) : '') ?? []
    if (size) socket.send(Buffer.alloc(Number(size)))
  })
})

const held = () => {
  // What the first finds to be garbage, the second gives back.
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A whole turn of the loop. What a destroyed connection had to write is let go at the end of one. */
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

let most = 0
let last = 0
let timer

/** What is gone when it is looked at again was only on its way through. */
const look = () => {
  const now = held()
  most = Math.max(most, Math.min(last, now))
  last = now
}

const functions = {
  async held() {
    await turn()
    return held()
  },
  counts: () => ({ shown, ended, memory: realtime.memory, clients: realtime.clients.size }),
  /** From now on, what is held is looked at again and again. */
  watch() {
    most = last = held()
    timer = setInterval(look, 50)
    return most
  },
  /** The most that was held since. */
  async most() {
    clearInterval(timer)
    for (let times = 0; times < 3; times++) {
      look()
      await turn()
    }
    return most
  },
}

process.on('disconnect', () => process.exit())
process.on('message', async ({ id, method }) => process.send({ id, result: await functions[method]() }))
realtime.on('listening', () => process.send({ id: 0, result: realtime.address().port }))
