// Two servers of a cluster with a real Redis: what a message costs if its requests reach the server that has its session, and if
// another one passes them on. Clients connect through a switch, whose work is not counted: they open their sessions at one server,
// then the switch cuts them, and they resume at the other one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { findTool } from '../../scripts/tools.mjs'
import { startProcess } from '../processes.mjs'
import { Table } from '../tables.mjs'

const connections = 10
const load = { size: 64, inFlight: 16 }
const transports = ['websocket', 'stream', 'sse', 'polling']
const environment = { NODE_ENV: 'production', NODE_NO_WARNINGS: '1' }
/** All processes together, or both servers: passed on, a message costs at most so many times as much. */
const most = 1.6

export const passed = {
  name: 'passed',
  async run(runner) {
    const cost = (title) => ({ title: `${title}, µs/message`, digits: 2 })
    const table = new Table({
      id: 'passed',
      title: `cluster: ${load.size} bytes, ${load.inFlight} in flight on each of ${connections} connections`,
      columns: {
        owner: cost('owner CPU'),
        passing: cost('passing CPU'),
        servers: { ...cost('both'), ratio: true },
        client: cost('client CPU'),
        together: { ...cost('together'), ratio: true },
      },
      against: undefined,
    })
    for (const transport of transports) {
      for (const column of ['servers', 'together'])
        table.goal(`${transport}, passed on`, column, most, { of: `${transport}, at its owner` })
      const setting = await Setting.start(transport, runner.profile)
      try {
        // The first round is for the last stage of V8.
        for (let round = -1; round < runner.rounds; round++) {
          for (const at of ['owner', 'passing']) {
            setting.reach(at)
            await setting.cost({ ...load, ms: 0, least: runner.amount(round < 0 ? 40_000 : 1000, 500) })
            if (round < 0) continue
            const figures = await setting.cost({ ...load, ms: 600, least: runner.amount(16_000, 500) })
            table.add(`${transport}, ${at === 'owner' ? 'at its owner' : 'passed on'}`, figures)
          }
        }
      } catch (error) {
        table.fault(`${transport}, passed on`, String(error.message))
      } finally {
        await setting.stop()
      }
    }
    return [table]
  },
}

class Setting {
  #redis
  #nodes = {}
  #ports = {}
  #client
  #switch

  static async start(transport, profile) {
    const setting = new Setting()
    try {
      await setting.#start(transport, profile)
    } catch (error) {
      await setting.stop()
      throw error
    }
    return setting
  }

  async #start(transport, profile) {
    this.#redis = await startRedis()
    const env = { ...process.env, ...environment }
    const options = (of) => ({
      env,
      execArgv: profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}/${transport}-${of}`] : [],
    })
    for (const name of ['owner', 'passing']) {
      const args = ['everwire', 'echo', JSON.stringify({ redis: this.#redis.url })]
      const node = startProcess('whole/server.mjs', args, options(name))
      this.#nodes[name] = node
      this.#ports[name] = await node.call('listen')
    }
    this.#switch = await startSwitch()
    this.#switch.reach(this.#ports.owner)
    this.#client = startProcess('whole/client.mjs', ['everwire'], options('client'))
    const to = { host: '127.0.0.1', port: this.#switch.port, transport }
    await this.#client.call('open', { count: connections, to })
    await this.#nodes.owner.call('until', { open: connections })
  }

  reach(at) {
    this.#switch.reach(this.#ports[at])
  }

  async cost(options) {
    const cpu = async () => ({
      owner: await this.#nodes.owner.call('cpu'),
      passing: await this.#nodes.passing.call('cpu'),
    })
    const before = await cpu()
    const { cpu: ofClient, messages } = await this.#client.call('echo', options)
    const after = await cpu()
    const owner = (after.owner - before.owner) / messages
    const passing = (after.passing - before.passing) / messages
    const client = ofClient / messages
    return { owner, passing, servers: owner + passing, client, together: owner + passing + client }
  }

  async stop() {
    await this.#client?.stop()
    this.#switch?.close()
    for (const node of Object.values(this.#nodes)) await node.stop()
    this.#redis?.stop()
  }
}

/** Sends each connection to the port that it was told last, and cuts those to another one. */
async function startSwitch() {
  const open = new Set()
  let target
  const server = createServer({ noDelay: true }, (socket) => {
    const onward = connect({ port: target, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ]) {
      open.add(one)
      one
        .on('error', () => {})
        .on('close', () => {
          open.delete(one)
          other.destroy()
        })
      one.pipe(other)
    }
  })
  const drop = () => {
    for (const socket of open) socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: server.address().port,
    reach(port) {
      if (port === target) return
      target = port
      drop()
    },
    close() {
      server.close()
      drop()
    },
  }
}

async function startRedis() {
  const program = findTool('redis-server')
  if (!program) throw new Error('There is no redis-server')
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address()
  free.close()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/tmp' })
  for await (const chunk of child.stdout) if (String(chunk).includes('Ready to accept')) break
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill('SIGKILL') }
}
