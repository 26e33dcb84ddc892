/** everwire on three servers that share a real Redis, behind a real balancer that sends each request to the next of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Transport } from '../../client/node.ts'
import { type BalancerProgram, startBalancer } from '../cluster/balancers.ts'
import type { Proxy as Balancer } from '../support/proxies.ts'
import { RedisServer } from '../support/redis.ts'
import { type Contestant, everwireOver } from './contestant.ts'
import type { Talk } from './talk.ts'

/** What a server tells: of itself, or what its application sees in a conversation. */
interface Told {
  readonly port?: number
  /** It is ready for the conversation of this number, and has passed so many requests on until now. */
  readonly next?: number
  readonly passed?: number
  readonly talk?: number
  readonly what?: 'opened' | 'transport' | 'message' | 'error' | 'close'
  readonly value?: string | Uint8Array | null
}

/** Three servers and their balancer; one conversation at a time. */
class Servers {
  readonly #nodes: readonly ChildProcess[]
  readonly #balancer: Balancer
  #talk: Talk | undefined
  #number = 0
  #isOpen = false

  private constructor(nodes: readonly ChildProcess[], balancer: Balancer) {
    this.#nodes = nodes
    this.#balancer = balancer
    for (const node of nodes) node.on('message', (told: Told) => this.#told(node, told))
  }

  static async start(program: BalancerProgram, redis: RedisServer, prefix: string): Promise<Servers> {
    const nodes = [1, 2, 3].map(() =>
      fork(resolve('test/networks/cluster-node.mjs'), {
        env: { ...process.env, REDIS: redis.url, PREFIX: prefix },
        serialization: 'advanced',
      }),
    )
    const ports = await Promise.all(nodes.map((node) => tells(node, ({ port }) => port)))
    return new Servers(nodes, await startBalancer(program, ports))
  }

  get port(): number {
    return this.#balancer.port
  }

  /** Begins a conversation; without one what comes is told to nobody. Returns how many requests were passed on until now. */
  async next(talk?: Talk): Promise<number> {
    const number = ++this.#number
    this.#talk = talk
    this.#isOpen = false
    const passed = this.#nodes.map((node) =>
      tells(node, (told) => (told.next === number ? told.passed : undefined)),
    )
    for (const node of this.#nodes) node.send({ next: number })
    return (await Promise.all(passed)).reduce((sum, one) => sum + one, 0)
  }

  async end(): Promise<void> {
    await this.#balancer.stop()
    await Promise.all(
      this.#nodes.map(async (node) => {
        const exited = once(node, 'exit')
        node.disconnect()
        await exited
      }),
    )
  }

  #told(node: ChildProcess, { talk: number, what, value }: Told): void {
    const talk = this.#talk
    if (!talk || number !== this.#number) return
    if (what === 'opened') {
      this.#isOpen = true
      talk.opened((say) => {
        if (this.#isOpen) node.send({ say })
        return this.#isOpen
      })
    } else if (what === 'message') talk.message(value as string | Uint8Array)
    else if (what === 'transport') talk.transport(value as string | null)
    else if (what === 'error') talk.visible(`error ${value}`)
    else {
      this.#isOpen = false
      talk.gone(`close ${value}`)
    }
  }
}

/** Resolves with what this finds in something that the server tells. */
function tells<T>(node: ChildProcess, find: (told: Told) => T | undefined): Promise<T> {
  return new Promise((done, fail) => {
    const ended = (): void => fail(new Error('A server of the cluster has ended'))
    const hear = (told: Told): void => {
      const found = find(told)
      if (found === undefined) return
      node.off('message', hear).off('exit', ended)
      done(found)
    }
    node.on('message', hear).once('exit', ended)
  })
}

/** Clusters for one conversation after the other, as many as are needed at a time. */
export class Clusters {
  readonly #redis: RedisServer
  readonly #idle: Record<BalancerProgram, Servers[]> = { nginx: [], haproxy: [] }
  readonly #all: Servers[] = []
  /** How many requests each contestant's servers have passed on to another one. */
  readonly passed: Record<string, number> = {}

  private constructor(redis: RedisServer) {
    this.#redis = redis
  }

  static async start(): Promise<Clusters> {
    return new Clusters(await RedisServer.start())
  }

  contestant(program: BalancerProgram, alone?: Transport): Contestant {
    const name = `${alone ?? 'everwire'} behind ${program}`
    return {
      ...everwireOver(alone && [alone]),
      name,
      alone,
      serve: async (talk) => {
        const servers = this.#idle[program].pop() ?? (await this.#start(program))
        const before = await servers.next(talk)
        return {
          port: servers.port,
          stop: async () => {
            this.passed[name] = (this.passed[name] ?? 0) + (await servers.next()) - before
            this.#idle[program].push(servers)
          },
        }
      },
    }
  }

  async #start(program: BalancerProgram): Promise<Servers> {
    const servers = await Servers.start(program, this.#redis, `ew${this.#all.length}:`)
    this.#all.push(servers)
    return servers
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map((servers) => servers.end()))
    await this.#redis.stop()
  }
}
