/** Sends a contestant through a network: both ends talk, what belongs to the network happens, and the books are compared. */
import { setTimeout as wait } from 'node:timers/promises'
import { hostileNetwork } from '../../testing/index.ts'
import { OwnTime } from '../support/own-time.ts'
import { startProxy } from '../support/proxies.ts'
import type { Contestant } from './contestant.ts'
import type { Network, Scene } from './network.ts'
import { type Account, type Party, Talk } from './talk.ts'

/** One direction, as its two ends know it. */
export interface Way {
  readonly said: number
  readonly refused: number
  readonly lost: number
  readonly repeated: number
  readonly disordered: number
  readonly damaged: number
  readonly longestGap: number
}

export interface Result {
  /** From the client's construction to the first answer, in milliseconds. */
  readonly first: number | undefined
  readonly toServer: Way
  readonly toClient: Way
  /** What an application had to see, at either end. */
  readonly visible: readonly string[]
  readonly transports: readonly string[]
  /** What each end heard last. */
  readonly closed: { readonly client: string | undefined; readonly server: string | undefined }
  /** What was awaited in vain. */
  readonly stuck: string | undefined
  /** The longest time for which an end did not get round to anything: a busy machine is no bad network. */
  readonly stall: number
  /** What a failure is to be explained by: the client's diary, and when each end's longest gap ended. */
  readonly diary: readonly string[]
}

export interface RunOptions {
  readonly seed?: number
  /** How long all of it may take, in milliseconds of this process's own time; what is awaited then is awaited in vain. */
  readonly within?: number
  /**
   * How long nothing may come, when all has been said and something is missing; and then how long the close may take. How long
   * all that was said takes depends on the machine: an end that talks faster than its network carries has much to send at last.
   */
  readonly settle?: number
}

/** Half a round trip, where a network does not say otherwise. */
const delay = 25
const ordinary = (scene: Scene): Promise<void> => scene.exchange(100)

export async function run(
  contestant: Contestant,
  network: Network,
  { seed = network.seed ?? 1, within = 14_000, settle = 3000 }: RunOptions = {},
): Promise<Result> {
  const undo: (() => unknown)[] = []
  const over = new AbortController()
  undo.push(() => over.abort())
  try {
    const options = { ...network.talk, textOnly: contestant.textOnly }
    const server = new Talk('server', options)
    undo.push(() => server.forget())
    const serving = await contestant.serve(server)
    undo.push(() => serving.stop())
    let { port } = serving
    if (network.proxy) {
      const proxy = await startProxy(network.proxy, port)
      undo.push(() => proxy.stop())
      port = proxy.port
    }
    const net = await hostileNetwork(port, { delay, ...network.faults, seed })
    undo.push(() => net.close())
    const client = await contestant.connect(net.port, options)
    undo.push(() => {
      net.clear()
      return client.drop()
    })

    let stuck: string | undefined
    const inTime = async (what: string, milliseconds: number, step: Promise<unknown>): Promise<boolean> => {
      const clock = new OwnTime()
      const late = clock.passes(milliseconds).then(() => false)
      const isInTime = await Promise.race([step.then(() => true), late])
      if (!isInTime) stuck ??= what
      clock.stop()
      return isInTime
    }
    const course = async (): Promise<void> => {
      await Promise.all([client.heard(1), server.heard(1)])
      await (network.during ?? ordinary)(sceneOf(net, client, server, over.signal))
    }
    await inTime('its course', within + (network.longer ?? 0) * 1000, course())
    await Promise.all([client.finish(), server.finish()])
    const said = { client: spoken(await client.account()), server: spoken(server.account()) }
    const hearsAll = async (end: Party, count: number): Promise<void> => {
      let due = (await end.account()).heard.length + 1
      while (due <= count && (await inTime('the last messages', settle, end.heard(due)))) due++
    }
    await Promise.all([hearsAll(client, said.server), hearsAll(server, said.client)])
    await client.close()
    await inTime('the end', settle, Promise.all([client.ended(), server.ended()]))
    const books = { client: await client.account(), server: server.account() }
    return {
      first: books.client.first,
      toServer: compare(books.client, books.server),
      toClient: compare(books.server, books.client),
      visible: [...named('client', books.client.visible), ...named('server', books.server.visible)],
      transports: books.client.transports,
      closed: { client: books.client.closed, server: books.server.closed },
      stuck,
      stall: Math.max(books.client.stall, books.server.stall),
      diary: [
        ...books.client.diary,
        `the longest gap to the server ended at ${books.server.gapUntil}, that to the client at ${books.client.gapUntil}`,
      ],
    }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

function sceneOf(net: Scene['net'], client: Party, server: Talk, signal: AbortSignal): Scene {
  const both = [client, server]
  const lasting = (milliseconds: number): Promise<void> => pause(milliseconds, signal)
  return {
    net,
    client,
    server,
    lasting,
    async exchange(count) {
      const accounts = await Promise.all(both.map((end) => end.account()))
      await Promise.all(both.map((end, i) => end.heard((accounts[i] as Account).heard.length + count)))
    },
    async silence(until) {
      await Promise.all(both.map((end) => end.pause()))
      await (typeof until === 'number' ? lasting(until) : until)
      await Promise.all(both.map((end) => end.start()))
    },
  }
}

/** Until it is over, at most. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return wait(milliseconds, undefined, { signal }).catch(() => {})
}

function spoken({ said, refused }: Account): number {
  return said - refused.length
}

function compare(from: Account, to: Account): Way {
  const { said, refused } = from
  const { repeated, disordered, damaged, longestGap } = to
  const came = new Set(to.heard)
  const missing = Array.from({ length: said }, (_, i) => i).filter(
    (i) => !came.has(i) && !refused.includes(i),
  )
  return { said, refused: refused.length, lost: missing.length, repeated, disordered, damaged, longestGap }
}

function named(end: string, what: readonly string[]): string[] {
  return what.map((event) => `${end}: ${event}`)
}

/** A run in a line. */
export function figures(result: Result): string {
  const { first, toServer, toClient, visible, transports, closed, stuck, stall } = result
  const way = ({ said, longestGap, ...faults }: Way): string => {
    const bad = Object.entries(faults).filter(([, count]) => count > 0)
    return `${said} sent, ${bad.map(([name, count]) => `${count} ${name}, `).join('')}gap ${Math.round(longestGap)} ms`
  }
  return [
    `first ${first === undefined ? 'never' : `${Math.round(first)} ms`}`,
    `to server ${way(toServer)}`,
    `to client ${way(toClient)}`,
    transports.join(' > '),
    `stall ${Math.round(stall)} ms`,
    ...(visible.length > 0 ? [`visible: ${visible.join(', ')}`] : []),
    ...(stuck === undefined
      ? []
      : [`waited for ${stuck} in vain, closed: ${closed.client}, ${closed.server}`]),
  ].join('; ')
}
