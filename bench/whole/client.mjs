// One contestant's clients in a process of their own: `client.mjs <library>`.
import { hostileNetwork } from '../../dist/testing/index.js'
import { serve } from '../processes.mjs'
import { library } from './contestants/index.mjs'
import { Driver } from './driver.mjs'

const contestant = library(process.argv[2])
const client = await contestant.client()
const driver = new Driver(contestant, client)

serve({
  open: ({ count, to }) => driver.open(count, () => to),
  close: () => driver.close(),
  echo: (options) => costing(() => driver.echo(options)),
  broadcast: (options) => costing(() => driver.broadcast(options)),
  rooms: (options) => costing(() => driver.rooms(options)),
  connect: ({ count, to }) =>
    costing(async () => {
      await driver.open(count, () => to)
      return { messages: count }
    }),

  /** In ms, through a network with a delay: every time at a new port, where no client has connections or memories. */
  async firstMessage({ to, delay }) {
    const network = await hostileNetwork(to.port, { delay })
    let link
    try {
      return await new Promise((resolve, reject) => {
        const from = performance.now()
        link = contestant.connect(
          client,
          { ...to, port: network.port },
          {
            opened: () => link.send('first'),
            message: () => resolve(performance.now() - from),
            closed: (why) => reject(new Error(`closed: ${why}`)),
          },
        )
      })
    } finally {
      link?.close()
      await network.close()
    }
  },

  async memory() {
    for (let i = 0; i < 4; i++) {
      globalThis.gc()
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    }
    const { heapUsed, external } = process.memoryUsage()
    return { heap: heapUsed, external }
  },
})

/** With the CPU time of this process meanwhile, in µs, of all its threads. */
async function costing(run) {
  const before = process.cpuUsage()
  const found = await run()
  const { user, system } = process.cpuUsage(before)
  return { ...found, cpu: user + system }
}
