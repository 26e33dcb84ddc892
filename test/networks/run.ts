/** Sends a contestant through a network: both ends talk, what belongs to the network happens, and the books are compared. */
import { setTimeout as wait } from 'node:timers/promises'
import { hostileNetwork } from '../../testing/index.ts'
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
}

export interface RunOptions {
  readonly seed?: number
  /** When it is enough in any case, and how long after the last word may still come, in milliseconds. */
  readonly within?: number
  readonly settle?: number
}

/** Half a round trip, where a network does not say otherwise. */
const delay = 25
const ordinary = (scene: Scene): Promise<void> => scene.exchange(100)

export async function run(
  contestant: Contestant,
  network: Network,
  { seed = 1, within = 24_000, settle = within }: RunOptions = {},
): Promise<Result> {
  const undo: (() => unknown)[] = []
  const over = new AbortController()
  undo.push(() => over.abort())
  try {
    const options = { ...network.talk, textOnly: contestant.textOnly }
    const server = new Talk('server', options)
    const serving = await contestant.serve(server)
    undo.push(() => serving.stop())
    let { port } = serving
    if (network.proxy) {
      const proxy = await startProxy(network.proxy.program, port, network.proxy.config)
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

    const deadline = wait(within, 'time is up' as const, { signal: over.signal }).catch(() => 'over' as const)
    let stuck: string | undefined
    const inTime = async (what: string, step: () => Promise<unknown>, limit: Promise<unknown> = deadline) => {
      if (stuck) return
      const done = await Promise.race([step().then(() => true), limit.then(() => false)])
      if (!done) stuck = what
    }
    const scene = sceneOf(net, client, server, over.signal)
    await inTime('the first messages', () => Promise.all([client.heard(1), server.heard(1)]))
    await inTime('the middle', () => (network.during ?? ordinary)(scene))
    await Promise.all([client.finish(), server.finish()])
    const said = { client: spoken(await client.account()), server: spoken(server.account()) }
    const soon = Promise.race([deadline, wait(settle, undefined, { signal: over.signal }).catch(() => {})])
    await inTime(
      'the last messages',
      () => Promise.all([client.heard(said.server), server.heard(said.client)]),
      soon,
    )
    await client.close()
    await inTime('the end', () => Promise.all([client.ended(), server.ended()]), soon)
    const books = { client: await client.account(), server: server.account() }
    return {
      first: books.client.first,
      toServer: compare(books.client, books.server),
      toClient: compare(books.server, books.client),
      visible: [...named('client', books.client.visible), ...named('server', books.server.visible)],
      transports: books.client.transports,
      closed: { client: books.client.closed, server: books.server.closed },
      stuck,
    }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

function sceneOf(net: Scene['net'], client: Party, server: Talk, signal: AbortSignal): Scene {
  const both = [client, server]
  const lasting = (milliseconds: number): Promise<void> =>
    wait(milliseconds, undefined, { signal }).catch(() => {})
  return {
    net,
    client,
    lasting,
    async exchange(count) {
      const accounts = await Promise.all(both.map((end) => end.account()))
      await Promise.all(both.map((end, i) => end.heard((accounts[i] as Account).heard.length + count)))
    },
    async silence(milliseconds) {
      await Promise.all(both.map((end) => end.pause()))
      await lasting(milliseconds)
      await Promise.all(both.map((end) => end.start()))
    },
  }
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
export function figures({ first, toServer, toClient, visible, transports, closed, stuck }: Result): string {
  const way = ({ said, longestGap, ...faults }: Way): string => {
    const bad = Object.entries(faults).filter(([, count]) => count > 0)
    return `${said} sent, ${bad.map(([name, count]) => `${count} ${name}, `).join('')}gap ${Math.round(longestGap)} ms`
  }
  return [
    `first ${first === undefined ? 'never' : `${Math.round(first)} ms`}`,
    `to server ${way(toServer)}`,
    `to client ${way(toClient)}`,
    transports.join(' > '),
    ...(visible.length > 0 ? [`visible: ${visible.join(', ')}`] : []),
    ...(stuck === undefined
      ? []
      : [`waited for ${stuck} in vain, closed: ${closed.client}, ${closed.server}`]),
  ].join('; ')
}
