/** Starts the servers and the clients, does to the servers what happens to servers, and sees the sessions to their end. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Publisher, redisPublisher } from '../../../redis/index.ts'
import { startBalancer } from '../../cluster/balancers.ts'
import { RedisServer } from '../../support/redis.ts'
import { Chance, Pace } from '../chance.ts'
import { type Part, startPart } from '../processes.ts'
import { type Counts, sum } from '../tally.ts'
import { compose } from '../words.ts'
import type { ClientsSettings, ClientsStatus } from './clients.ts'
import type { NodeSettings, NodeStatus } from './node.ts'
import { type Settings, topicOf } from './settings.ts'

/** What a run has shown. */
export interface Result {
  readonly settings: Settings
  /** What is wrong; empty if all is well. */
  readonly complaints: readonly string[]
  readonly faults: Counts['faults']
  readonly servers: Counts
  readonly clients: Counts
  /** How many sessions the killed server had, and how many went with it. */
  readonly kill: { readonly owned: number; readonly taken: number }
  /** How many sessions went with the server that stood still for longer than its lease. */
  readonly pause: number
  /** Topics' messages, each of which goes to many. */
  readonly published: number
  readonly passed: number
  readonly handedOver: number
  readonly gaps: number
  /** The longest times that a session was without a message during the rolling restart, in milliseconds: the median and the longest. */
  readonly restart: { readonly median: number; readonly longest: number }
  readonly minutes: number
}

/** What has not happened by then does not happen. */
const within = 180_000

interface Node {
  readonly part: Part
  readonly serial: number
  readonly port: number
}

export class ClusterRun {
  readonly #settings: Settings
  readonly #tell: (text: string) => void
  readonly #undo: (() => unknown)[] = []
  readonly #began = performance.now()
  readonly #complaints: string[] = []
  /** What servers said last that are no more. */
  readonly #gone: NodeStatus[] = []
  readonly #last: number[]
  #published = 0
  #nodes: Node[] = []
  #clients: Part[] = []
  #serial = 0
  #redis = ''

  constructor(settings: Settings, tell: (text: string) => void) {
    this.#settings = settings
    this.#tell = tell
    this.#last = Array(settings.topics + 1).fill(0)
  }

  async run(): Promise<Result> {
    try {
      return await this.#run()
    } finally {
      for (const step of this.#undo.reverse()) await step()
    }
  }

  async #run(): Promise<Result> {
    const settings = this.#settings
    const { sessions, quiet, lease, processes, balancer } = settings
    const redis = await RedisServer.start()
    this.#undo.push(() => redis.stop())
    this.#redis = redis.url
    for (let i = 0; i < 3; i++) this.#nodes.push(await this.#startNode(0))
    const proxy = await startBalancer(
      balancer,
      this.#nodes.map(({ port }) => port),
    )
    this.#undo.push(() => proxy.stop())
    const publisher = redisPublisher({ url: redis.url })
    this.#undo.push(() => publisher.close())
    const url = `http://127.0.0.1:${proxy.port}/realtime`
    this.#clients = Array.from({ length: processes }, (_, index) =>
      this.#start('cluster clients', { settings, url, index } satisfies ClientsSettings),
    )
    await this.#all('enter')
    await this.#until('all are open', async () => (await this.#status()).open === sessions)
    const publishing = this.#publish(publisher)
    await wait(quiet * 1000)

    const kill = await this.#kill()
    await wait(quiet * 1000)
    await this.#pause((lease * 1000) / 3)
    await wait(quiet * 1000)
    const pause = await this.#pause(lease * 2000)
    await wait(quiet * 1000)
    const restart = await this.#restartAll()
    await wait(quiet * 1000)

    clearInterval(publishing)
    for (const { part } of this.#nodes) await part.call('calm')
    // The last of each topic: whoever has it and lacks another one has lost that.
    for (let topic = 1; topic <= settings.topics; topic++) this.#publishOne(publisher, topic)
    await publisher.flushed()
    await this.#all('finish', this.#last)
    await this.#until('all have ended', async () => (await this.#status()).here === 0)
    return this.#result({ kill, pause, restart })
  }

  // ---- what happens ----

  /** A server is killed, and started again. Returns how many sessions it had, and how many went with it. */
  async #kill(): Promise<Result['kill']> {
    const [node] = this.#nodes as [Node]
    const before = await this.#status()
    const { clients: owned } = await this.#note(node)
    if (this.#settings.plant !== 'kill') await this.#all('doom', node.serial)
    await node.part.signal('SIGKILL')
    this.#report(`killed server ${node.serial}, which had ${owned} sessions`)
    await wait(this.#settings.lease * 1500)
    await this.#replace(node)
    await this.#until('all know', async () => (await this.#status()).stale === 0)
    const taken = await this.#settled(before)
    this.#report(`${taken} sessions went with it`)
    return { owned, taken }
  }

  /** A server stands still for so long. Returns how many sessions went with it. */
  async #pause(milliseconds: number): Promise<number> {
    const { lease } = this.#settings
    const node = this.#nodes[1] as Node
    const before = await this.#status()
    const isLong = milliseconds > lease * 1000
    if (isLong) await this.#all('doom', node.serial)
    await node.part.signal('SIGSTOP')
    await wait(milliseconds)
    await node.part.signal('SIGCONT')
    await wait(lease * 1000)
    const taken = await this.#settled(before)
    if (isLong) await this.#all('spare', node.serial)
    this.#report(
      `server ${node.serial} stood still for ${Math.round(milliseconds)} ms: ${taken} sessions went`,
    )
    return taken
  }

  /** All servers are drained and started anew, one after the other. */
  async #restartAll(): Promise<Result['restart']> {
    await this.#all('forgetGaps')
    for (const node of [...this.#nodes]) {
      const { clients } = await node.part.call<NodeStatus>('status')
      await node.part.call('leave')
      const status = await this.#note(node)
      await node.part.stop()
      await this.#replace(node)
      this.#report(`server ${node.serial} of ${clients} sessions has handed ${status.handedOver} over`)
    }
    const { gaps } = await this.#status()
    return { median: gaps[Math.floor(gaps.length / 2)] ?? 0, longest: gaps[0] ?? 0 }
  }

  /** Another server takes the port of one that has ended. */
  async #replace(node: Node): Promise<void> {
    const next = await this.#startNode(node.port)
    this.#nodes = this.#nodes.map((one) => (one === node ? next : one))
  }

  /** Resolves when all places are taken again, with how many sessions went since. */
  async #settled(before: ClientsStatus): Promise<number> {
    await this.#until(
      'all are open again',
      async () => (await this.#status()).open === this.#settings.sessions,
    )
    return (await this.#status()).taken - before.taken
  }

  /** Remembers what a server has counted that is about to end. */
  async #note({ part }: Node): Promise<NodeStatus> {
    const status = await part.call<NodeStatus>('status')
    this.#gone.push(status)
    return status
  }

  // ---- topics ----

  #publish(publisher: Publisher): NodeJS.Timeout {
    const { topics, rate, seed } = this.#settings
    const chance = new Chance(seed, 'topics')
    const pace = new Pace()
    return setInterval(() => {
      for (let i = pace.due(topics / rate); i > 0; i--) this.#publishOne(publisher, 1 + chance.below(topics))
    }, 50)
  }

  #publishOne(publisher: Publisher, topic: number): void {
    const number = (this.#last[topic] ?? 0) + 1
    this.#last[topic] = number
    if (this.#settings.plant === 'topic' && number === 2) return
    this.#published++
    publisher.publish(
      topicOf(topic),
      compose({ kind: 'topic', number, about: topic, size: 100, binary: false }),
    )
  }

  // ---- parts ----

  async #startNode(port: number): Promise<Node> {
    const serial = ++this.#serial
    const params = { settings: this.#settings, serial, redis: this.#redis, port } satisfies NodeSettings
    const part = this.#start('cluster node', params)
    return { part, serial, port: await part.call<number>('open') }
  }

  #start(name: string, params: unknown): Part {
    const part = startPart(name, params, this.#tell)
    this.#undo.push(() => part.stop())
    return part
  }

  #all(method: string, params?: unknown): Promise<unknown> {
    return Promise.all(this.#clients.map((part) => part.call(method, params)))
  }

  async #status(): Promise<ClientsStatus> {
    const all = await Promise.all(this.#clients.map((part) => part.call<ClientsStatus>('status')))
    const total = (pick: (one: ClientsStatus) => number): number =>
      all.reduce((sum, one) => sum + pick(one), 0)
    return {
      counts: sum(all.map(({ counts }) => counts)),
      here: total(({ here }) => here),
      open: total(({ open }) => open),
      stale: total(({ stale }) => stale),
      taken: total(({ taken }) => taken),
      gaps: all.flatMap(({ gaps }) => gaps).sort((a, b) => b - a),
      missing: all.flatMap(({ missing }) => missing),
    }
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + within
    while (!(await holds())) {
      if (performance.now() > end) {
        this.#complaints.push(`waited in vain until ${what}`)
        for (const missing of (await this.#status()).missing) this.#tell(JSON.stringify(missing))
        return
      }
      await wait(250)
    }
    this.#report(what)
  }

  #report(what: string): void {
    this.#tell(`${((performance.now() - this.#began) / 1000).toFixed(1)} s: ${what}`)
  }

  async #result(found: Pick<Result, 'kill' | 'pause' | 'restart'>): Promise<Result> {
    const { counts: clients } = await this.#status()
    const nodes = [
      ...this.#gone,
      ...(await Promise.all(this.#nodes.map(({ part }) => part.call<NodeStatus>('status')))),
    ]
    const servers = sum(nodes.map(({ counts }) => counts))
    const { faults } = sum([servers, clients])
    const complaints = [...this.#complaints]
    for (const [kind, count] of Object.entries(faults)) if (count > 0) complaints.push(`${count} ${kind}`)
    for (const [close, count] of Object.entries(clients.unexpected))
      complaints.push(`${count} unexpected closes ${close}`)
    if (clients.received === 0 || found.kill.taken === 0) complaints.push('nothing happened')
    const total = (pick: (one: NodeStatus) => number): number =>
      nodes.reduce((sum, one) => sum + pick(one), 0)
    return {
      settings: this.#settings,
      complaints,
      faults,
      servers,
      clients,
      published: this.#published,
      passed: total(({ passed }) => passed),
      handedOver: total(({ handedOver }) => handedOver),
      gaps: total(({ gaps }) => gaps),
      ...found,
      minutes: (performance.now() - this.#began) / 60_000,
    }
  }
}

export function summaryOf(result: Result): string {
  const { settings, servers, clients, faults, kill, pause, restart, complaints } = result
  return [
    `${settings.sessions} sessions and ${settings.topics} topics on three servers behind ${settings.balancer} for ${result.minutes.toFixed(1)} minutes`,
    `sessions: ${clients.opened} opened, ${clients.ended} ended as they were to; a killed server of ${kill.owned} took ${kill.taken} with it, one that stood still ${pause}`,
    `messages: ${clients.sent} sent to servers, ${servers.received} received by those that lived; ${clients.received} received by clients, of ${result.published} publications`,
    `${result.passed} requests passed on, ${result.handedOver} sessions handed over; gaps told ${result.gaps} times`,
    `the longest time without a message during the rolling restart: median ${Math.round(restart.median)} ms, longest ${Math.round(restart.longest)} ms`,
    `lost ${faults.lost}, twice ${faults.twice}, out of order ${faults.disorder}, changed ${faults.spoilt}`,
    complaints.length === 0 ? 'all is well' : `FAILED\n${complaints.map((one) => `  ${one}`).join('\n')}`,
  ].join('\n')
}
