// Servers of a cluster in processes of their own.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFailed, onTestFinished } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import type { ServerStats } from '../../server/index.ts'
import type { Proxy as Balancer } from '../support/proxies.ts'
import { RedisServer } from '../support/redis.ts'
import { type BalancerProgram, startBalancer } from './balancers.ts'
import { CountingClient } from './counting-client.ts'

/** What a server says of itself. */
export interface Word {
  readonly port?: number
  readonly cluster?: 'up' | 'down'
  readonly shown?: string
  readonly recovered?: boolean
  readonly closed?: string
  readonly gap?: string
  readonly stats?: ServerStats
  /** The number of a message that the application was told, and of which session. */
  readonly told?: number
  readonly of?: string
}

const ours = fileURLToPath(new URL('node.mjs', import.meta.url))

export class NodeProcess {
  readonly child: ChildProcess
  readonly words: Word[] = []
  readonly #exited: Promise<unknown>
  port = 0

  private constructor(env: Readonly<Record<string, string>>, script: string) {
    this.child = fork(script, {
      env: { ...process.env, ...env },
    })
    this.#exited = once(this.child, 'exit')
    this.child.on('message', (word) => this.words.push(word as Word))
  }

  /** Starts a server; resolves when it has joined and listens. `script`: node.mjs of another version. */
  static async start(env: Readonly<Record<string, string>>, script = ours): Promise<NodeProcess> {
    const node = new NodeProcess(env, script)
    node.port = (await node.says(({ port }) => port !== undefined)).port as number
    return node
  }

  /** Resolves with the next word of this kind, or one that was said already. */
  async says(is: (word: Word) => boolean, from = 0): Promise<Word> {
    for (;;) {
      const word = this.words.slice(from).find(is)
      if (word) return word
      await Promise.race([
        once(this.child, 'message'),
        this.#exited.then(() => {
          throw new Error(`The server has ended. It said ${JSON.stringify(this.words)}`)
        }),
      ])
    }
  }

  async stats(): Promise<ServerStats> {
    const from = this.words.length
    this.child.send({ stats: true })
    return (await this.says(({ stats }) => stats !== undefined, from)).stats as ServerStats
  }

  publish(...data: string[]): void {
    this.child.send({ publish: data })
  }

  /** Sends a signal; with one that ends the process, resolves when it has ended. */
  async signal(name: NodeJS.Signals): Promise<void> {
    this.child.kill(name)
    if (name !== 'SIGSTOP' && name !== 'SIGCONT') await this.#exited
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }
}

const ways: readonly (readonly Transport[] | undefined)[] = [
  ['websocket'],
  ['stream'],
  ['sse'],
  ['polling'],
  undefined,
]

/** Three servers with a real Redis behind a balancer, and clients over all transports. */
export interface World extends Servers {
  readonly proxy: Balancer
  readonly url: string
  clients(count: number, every?: number): CountingClient[]
}

/** Servers of one cluster, and what starts another one: perhaps on a port that is free again, perhaps of another script. */
export interface Servers {
  readonly redis: RedisServer
  readonly nodes: NodeProcess[]
  start(port?: number, script?: string): Promise<NodeProcess>
}

/** Starts so many servers. All of them end with the test. */
export async function servers(
  count: number,
  env: Record<string, string> = {},
  usual: string = ours,
): Promise<Servers> {
  await ensureBuilt()
  const redis = await RedisServer.start()
  onTestFinished(() => redis.stop())
  const nodes: NodeProcess[] = []
  onTestFinished(async () => {
    for (const node of nodes) if (!node.isOver) await node.signal('SIGKILL')
  })
  const start = async (port = 0, script = usual): Promise<NodeProcess> => {
    const node = await NodeProcess.start({ REDIS: redis.url, PORT: `${port}`, ...env }, script)
    nodes.push(node)
    return node
  }
  for (let i = 0; i < count; i++) await start()
  return { redis, nodes, start }
}

/** All of it ends with the test. */
export async function world(program: BalancerProgram, env: Record<string, string> = {}): Promise<World> {
  const { redis, nodes, start } = await servers(3, env)
  const ports = nodes.map(({ port }) => port)
  const proxy = await startBalancer(program, ports)
  onTestFinished(() => proxy.stop())
  const url = `http://127.0.0.1:${proxy.port}/realtime`
  const clients = (count: number, every?: number): CountingClient[] => {
    const made = Array.from(
      { length: count },
      (_, i) => new CountingClient(url, ways[i % ways.length], every),
    )
    onTestFailed(() => {
      for (const { events, faults, echoed, socket } of made)
        console.log(events, faults, echoed.length, socket.diary)
    })
    onTestFinished(() => {
      for (const { socket } of made) socket.terminate()
    })
    return made
  }
  return { redis, nodes, proxy, url, start, clients }
}

/** Resolves when each of them has heard so many more answers. */
export async function each(clients: readonly CountingClient[], count: number): Promise<void> {
  await Promise.all(clients.map((client) => client.hears(count)))
}
