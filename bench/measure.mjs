// Servers, the load generator, and the rounds in which the contenders take turns.
import { setTimeout as wait } from 'node:timers/promises'
import { startProcess } from './processes.mjs'

export class Measure {
  #quick
  #profile
  #running = new Set()
  #load

  constructor({ quick, profile }) {
    this.#quick = quick
    this.#profile = profile
  }

  /** How much of something to do: in full, or in a short run. */
  amount(full, quick) {
    return this.#quick ? quick : full
  }

  async startServer(name, role = 'echo', execArgv = []) {
    const profiling = this.#profile ? ['--cpu-prof', `--cpu-prof-dir=${this.#profile}`] : []
    const server = startProcess('servers.mjs', [name, role], [...execArgv, ...profiling])
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
    this.#load ??= startProcess('load.mjs')
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

  /**
   * Runs `once` for every contender in turn, several times, each round beginning with another one; what it throws is a fault
   * of that row.
   */
  async rounds(table, contenders, count, once) {
    for (let round = 0; round < count; round++) {
      for (let i = 0; i < contenders.length; i++) {
        const contender = contenders[(round + i) % contenders.length]
        try {
          const figures = await once(contender)
          if (figures) table.add(contender.row, figures)
        } catch (error) {
          table.fault(contender.row, String(error).split('\n')[0])
        }
      }
    }
  }

  /** The server's CPU time per message, in µs, and what the load generator saw meanwhile. */
  async cpuPerMessage(server, options) {
    try {
      await this.load('start', { port: server.port, ...options })
      await wait(this.amount(500, 300))
      await this.load('mark')
      const before = await server.call('cpu')
      await wait(this.amount(1_000, 400))
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
