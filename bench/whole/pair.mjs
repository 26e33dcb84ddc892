// A contestant at work: its server in one process, its clients in another.
import { startProcess } from '../processes.mjs'

const environment = {
  // As in production: without it the client of SockJS writes a log that nobody reads.
  NODE_ENV: 'production',
  // The certificate of the TLS scenario signs itself.
  NODE_TLS_REJECT_UNAUTHORIZED: '0',
  NODE_NO_WARNINGS: '1',
}

export class Pair {
  #to
  #server
  #client

  /** `contestant`: of whole/contestants. Options: secure, deflate, held (count the answers under way), rooms, gc, execArgv. */
  static async start({ library, transport }, role, { gc = false, ...options } = {}) {
    const execArgv = gc ? ['--expose-gc'] : []
    const env = { ...process.env, ...environment }
    const profile = (of) => (options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}/${of}`] : [])
    const pair = new Pair()
    pair.#server = startProcess('whole/server.mjs', [library, role, JSON.stringify(options)], {
      execArgv: [...execArgv, ...profile('server')],
      env,
    })
    pair.#client = startProcess('whole/client.mjs', [library], {
      execArgv: [...execArgv, ...profile('client')],
      env,
    })
    try {
      const port = await pair.#server.call('listen')
      pair.#to = { host: '127.0.0.1', port, transport, secure: options.secure, deflate: options.deflate }
    } catch (error) {
      await pair.stop()
      throw error
    }
    return pair
  }

  get server() {
    return this.#server
  }

  get client() {
    return this.#client
  }

  /** Opens more connections. They are open when both ends say so. */
  async open(count) {
    const { open } = await this.#server.call('now')
    await this.#client.call('open', { count, to: this.#to })
    await this.#server.call('until', { open: open + count })
  }

  /** Closes all, and waits until the server has seen it. */
  async close() {
    await this.#client.call('close')
    await this.#server.call('until', { open: 0 })
  }

  /** What the clients do, and what it cost each process, in µs per message. */
  async cost(method, options) {
    const before = await this.#server.call('cpu')
    const { cpu, ...found } = await this.#client.call(method, options)
    const server = ((await this.#server.call('cpu')) - before) / found.messages
    const client = cpu / found.messages
    return { ...found, server, client, together: server + client }
  }

  /** Echoes until the code of both ends is compiled for it. */
  warm(runner, load) {
    // Until the last stage of V8 has seen it: over WebSocket a second or two at full speed, over HTTP as long for fewer messages.
    const full = (this.#to.transport === 'websocket' ? 50_000 : 12_000) / (load.inFlight > 1 ? 1 : 4)
    const least = runner.amount(full, full / 20)
    return this.cost('echo', { ...load, ms: runner.amount(400, 100), least })
  }

  /** Echoes at a rate, and how late the server's event loop was meanwhile. */
  async atRate(options) {
    await this.#server.call('watchDelay')
    const { perSecond } = await this.#client.call('echo', options)
    return { ...(await this.#server.call('delay')), perSecond }
  }

  connect(count) {
    return this.cost('connect', { count, to: this.#to })
  }

  firstMessage(delay) {
    return this.#client.call('firstMessage', { to: this.#to, delay })
  }

  async stop() {
    await Promise.all([this.#client.stop(), this.#server.stop()])
  }
}
