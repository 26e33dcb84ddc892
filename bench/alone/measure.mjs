// Servers and the load generator.
import { setTimeout as wait } from 'node:timers/promises'
import { startProcess } from '../processes.mjs'

export class Measure {
  #runner
  #running = new Set()
  #load

  constructor(runner) {
    this.#runner = runner
  }

  async startServer(name, role = 'echo', execArgv = []) {
    const { profile } = this.#runner
    const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []
    const server = startProcess('alone/servers.mjs', [name, role], {
      execArgv: [...execArgv, ...profiling],
    })
    this.#running.add(server)
    const stop = async () => {
      await server.stop()
      this.#running.delete(server)
    }
    try {
      return { port: await server.call('listen'), call: server.call, stop }
    } catch (error) {
      await stop()
      throw error
    }
  }

  /** Servers that stay for a scenario, each started when it is first asked for. */
  servers(role = 'echo') {
    const started = new Map()
    return {
      get: (name) => {
        if (!started.has(name)) started.set(name, this.startServer(name, role))
        return started.get(name)
      },
      stop: async () => {
        for (const server of await Promise.allSettled(started.values())) await server.value?.stop()
      },
    }
  }

  /** The load generator. One that failed is not asked again: the next call has a new one. */
  async load(method, params) {
    this.#load ??= startProcess('alone/load.mjs')
    try {
      return await this.#load.call(method, params)
    } catch (error) {
      await this.#endLoad()
      throw error
    }
  }

  async #endLoad() {
    const load = this.#load
    this.#load = undefined
    await load?.stop()
  }

  /** The server's CPU time per message, in µs, and what the load generator saw meanwhile. */
  async cpuPerMessage(server, options) {
    try {
      await this.load('start', { port: server.port, ...options })
      await wait(this.#runner.amount(250, 100))
      await this.load('mark')
      const before = await server.call('cpu')
      await wait(this.#runner.amount(450, 200))
      const seen = await this.load('mark')
      const after = await server.call('cpu')
      const { lost, wrong } = await this.load('stop')
      if (lost || wrong) throw new Error(`${lost} messages lost, ${wrong} wrong`)
      if (seen.messages === 0) throw new Error('nothing came back')
      return { ...seen, cpu: (after - before) / seen.messages, perSecond: seen.messages / seen.seconds }
    } catch (error) {
      // What it had begun must not disturb the next one.
      await this.#endLoad()
      throw error
    }
  }

  async stop() {
    await Promise.all([this.#endLoad(), ...[...this.#running].map((server) => server.stop())])
  }
}
