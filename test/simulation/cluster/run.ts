/** One run: servers and their clients, a few scenarios, and what must be true when they are over. */

import type { Pause } from '../scenarios.ts'
import { type Counts, Random, Violation, type World } from '../world.ts'
import type { Clustered } from './load.ts'
import { closeSomehow, isHealthy, isOver, names, recover, type ScenarioName, scenarios } from './scenarios.ts'
import type { Visitor } from './side.ts'
import { Site } from './site.ts'

/** A claim is forgotten after this time, and everything else before. */
const longestKept = 600_000
/** On a network that is whole a client notices a silent server after its heartbeat and a margin, and asks another one. */
const longestDoubt = 25_000
const patience = 30_000
/** An answer that nobody reads is kept for so long. */
const longestRest = 70_000

function follow(world: World, pauses: Generator<Pause, void, void>, check: () => void): void {
  for (const pause of pauses) {
    if (typeof pause === 'number') world.run(pause)
    else world.run(pause.limit, pause.until)
    check()
  }
}

function play(clustered: Clustered, chosen: readonly ScenarioName[]): void {
  const { world } = clustered
  const site = new Site(clustered)
  if (!world.run(10_000, () => site.nodes.every(({ isReady }) => isReady)))
    throw new Violation('the servers have not joined')
  const first = site.visit()
  world.run(10_000, () => first.opened > 0 && first.sides.length > 0)
  if (first.opened === 0) throw new Violation('the first client did not open')
  const check = (): void => {
    for (const visitor of site.visitors) visitor.check()
  }
  for (const name of chosen) {
    world.count(`scenario: ${name}`)
    follow(world, scenarios[name](site), check)
  }
  finish(site)
}

/** Nothing goes wrong any more: everything must come to its end. */
function finish(site: Site): void {
  const { world } = site
  site.heal()
  if (site.living.every(({ recovers }) => !recovers)) site.start()
  const since = world.now
  const settled = (visitor: Visitor): boolean =>
    isOver(visitor) ||
    (visitor.sides.length > 1 && visitor.sides.some(({ isServed }) => isServed)) ||
    (isHealthy(visitor) && visitor.isQuiet && visitor.side?.isQuiet === true)
  const limit = patience + longestDoubt
  if (!world.run(limit, () => site.visitors.every(settled))) {
    const late = site.visitors.find((visitor) => !settled(visitor))
    throw new Violation(`client ${late?.seat} has not come to rest in ${limit} ms: ${stateOf(late)}`)
  }
  follow(world, recover(site), () => {})
  // Commands that were sent to a slow store are still under way.
  if (!world.run(longestDoubt, () => site.living.every(({ engine }) => engine.isAgreed)))
    throw new Violation('a server does not learn the secret of a store that has lost everything')
  site.grid.mustTrust = true
  for (const visitor of site.visitors) {
    const { fate, closed } = visitor
    // An old request may have opened it anew meanwhile: a known limit.
    if (fate === 'must end' && visitor.sides.length === 1 && !closed && !visitor.session?.over)
      throw new Violation(`its server is dead, and it goes on: ${stateOf(visitor)}`)
    // Who has not been let in gives up when all transports have failed.
    if (
      fate === 'goes on' &&
      visitor.opened > 0 &&
      isOver(visitor) &&
      !visitor.closedWith &&
      !visitor.side?.closedWith
    )
      throw new Violation(`a session was lost without a reason: ${stateOf(visitor)}`)
    if (visitor.sides.filter(({ isServed }) => isServed).length > 1) {
      // The one that was taken for dead learns it within a beat.
      world.run(site.lease)
      if (visitor.sides.filter(({ isServed }) => isServed).length > 1)
        throw new Violation(`two servers serve one session: ${stateOf(visitor)}`)
    }
  }
  world.counts.set('most: ms to rest', Math.max(world.counts.get('most: ms to rest') ?? 0, world.now - since))
  judgeTopics(site)
  for (const visitor of site.visitors) if (!isOver(visitor)) closeSomehow(site, visitor)
  const isClosed = (visitor: Visitor): boolean =>
    !!visitor.closed && visitor.sides.every((side) => !side.node.isAlive || !!side.closed || side.isMoving)
  if (!world.run(2 * patience + longestDoubt, () => site.visitors.every(isClosed))) {
    const late = site.visitors.find((visitor) => !isClosed(visitor))
    throw new Violation(`client ${late?.seat} is not closed: ${stateOf(late)}`)
  }
  for (const visitor of site.visitors) judgeEnd(site, visitor)
  end(site)
}

/** Everybody gets what is published now, and so has everything before, or was told that it does not. */
function judgeTopics(site: Site): void {
  const { world, ledger, visitors } = site
  for (const node of site.living) for (const topic of ['news', 'sport']) ledger.publish(node, topic)
  const lacking = (): Visitor | undefined =>
    visitors.find((visitor) => !isOver(visitor) && ledger.missing(visitor).length > 0)
  // A client may have a stream through a server without power.
  if (!world.run(longestDoubt, () => lacking() === undefined)) {
    const visitor = lacking() as Visitor
    throw new Violation(`topics: client ${visitor.seat} lacks ${ledger.missing(visitor).join()}`)
  }
  ledger.judge(visitors)
}

function judgeEnd(site: Site, visitor: Visitor): void {
  const { world } = site
  const { closed, side, closedWith, received } = visitor
  if (visitor.mayEnd || visitor.sides.length !== 1 || !side || visitor.failed || visitor.opened === 0) {
    world.count(closed?.clean ? 'end: clean after all' : `end: ${closed?.code} ${closed?.reason}`)
    return
  }
  if (!closed?.clean) throw new Violation(`lost without a reason: ${stateOf(visitor)}`)
  if (!closedWith && received !== side.sent.length)
    throw new Violation(`messages are lost: ${stateOf(visitor)}`)
  if (!side.closedWith && side.received !== visitor.sent.length)
    throw new Violation(`messages of the client are lost: ${stateOf(visitor)}`)
  world.count('end: clean')
}

/** The servers end, and nothing remains of them. */
function end(site: Site): void {
  const { world, store } = site
  const living = site.nodes.filter(({ isAlive }) => isAlive)
  const left = (): string | undefined => {
    for (const { realtime, name, isClosed } of living) {
      const { cluster } = realtime.stats()
      if (isClosed || !cluster) continue
      if (cluster.passing > 0) return `${name} still passes ${cluster.passing} on`
      if (cluster.sessions > 0) return `${name} still claims ${cluster.sessions} sessions`
      if (realtime.memory !== 0) return `${name}: ${realtime.memory} bytes are still counted`
    }
    return undefined
  }
  for (let i = 0; i < longestRest && left() !== undefined; i += 1_000) world.run(1_000)
  const rest = left()
  if (rest !== undefined) throw new Violation(rest)
  world.run(1_000)
  const ids = site.visitors.flatMap(({ sides }) => sides.map(({ id }) => id))
  if (!site.mayLeave)
    for (const id of ids)
      if (typeof store.owner(id) === 'object') throw new Violation('a session that is over is still claimed')
  for (const node of living) {
    if (node.isDraining) continue
    node.isDraining = true
    void node.realtime.close({ within: 100 })
  }
  if (!world.run(60_000, () => living.every(({ isClosed }) => isClosed)))
    throw new Violation('a server does not end')
  world.runOut()
  if (store.nodes().length > living.length - living.length + site.nodes.length - living.length)
    throw new Violation('a server that has left is still in the store')
  world.now += longestKept
  for (const id of ids) if (store.owner(id) !== 'nobody') throw new Violation(`${id} stays in the store`)
  if (store.nodes().length > 0) throw new Violation('servers stay in the store')
}

function stateOf(visitor: Visitor | undefined): string {
  if (!visitor) return ''
  const { session, sent, received, closed, fate, opened } = visitor
  const sides = visitor.sides.map((side) => {
    const at = `${side.node.name}${side.node.isAlive ? '' : ' (dead)'}${side.isMoving ? ' (moving)' : ''}`
    return `at ${at}: sent ${side.sent.length}, received ${side.received}, on carrier ${side.session?.link?.epoch}, ${JSON.stringify(side.closed ?? '')}`
  })
  return `${fate}; opened ${opened}, sent ${sent.length}, acknowledged ${session?.acknowledged.number}, received ${received}, on carrier ${session?.link?.epoch} ${visitor.socket.transport}, ${JSON.stringify(closed ?? '')}; ${sides.join('; ')}; ${JSON.stringify(visitor.diary.slice(-4))}`
}

export interface Outcome {
  readonly failure: string | undefined
  readonly trace: readonly string[] | undefined
}

export interface Wish {
  readonly scenario?: string | undefined
  readonly trace?: boolean
}

/** One run of a seed: the same always goes the same way. To be called in a task. */
export function simulateCluster(
  clustered: Clustered,
  seed: number,
  number: number,
  counts: Counts,
  wish: Wish = {},
): Outcome {
  const random = new Random(seed, number)
  const trace: string[] | undefined = wish.trace ? [] : undefined
  const { world, pool } = clustered
  world.begin(random, counts, trace)
  const chosen: ScenarioName[] = []
  for (let i = random.between(1, 3); i > 0; i--) chosen.push(random.pick(names))
  const wished = wish.scenario as ScenarioName | undefined
  const { stackTraceLimit } = Error
  // Errors that are caught are part of a run, and a stack takes longer than the error. A trace shows it.
  if (!trace) Error.stackTraceLimit = 0
  try {
    play(clustered, wished ? [wished, wished] : chosen)
    pool.giveBack()
    return { failure: undefined, trace }
  } catch (error) {
    pool.discard()
    const failure = error instanceof Violation ? error.message : String((error as Error).stack ?? error)
    return { failure: `${failure} (${(wished ? [wished, wished] : chosen).join(', ')})`, trace }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
