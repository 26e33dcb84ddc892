/** One run: a few scenarios for two ends, and what must be true when they are over. */
import type { Everwire } from './load.ts'
import { Pair } from './pair.ts'
import { enders, middles, type Pause, recover, type ScenarioName, scenarios } from './scenarios.ts'
import { type Counts, Random, Violation, type World } from './world.ts'

/** In twenty seconds on a network that is whole: the polls of a server with a short heartbeat, and attempts to do better. */
const mostAsked = 40
/** … where the client has learnt to end its streams after 1.5 seconds: each costs four. */
const mostAskedInShortStreams = 60
/** Less than any deadline of a close. */
const promptly = 25_000

function play(everwire: Everwire, names: readonly ScenarioName[]): void {
  const pair = new Pair(everwire)
  const { world, client, server, network } = pair
  world.run(30_000, () => (client.opened > 0 && server.opened > 0) || !!client.closed)
  if (client.closed && client.opened === 0) {
    world.count('end: not opened')
    pair.mayLose = true
    network.heal()
  } else {
    if (client.opened === 0) throw new Violation('the client did not open, and was not closed')
    if (world.random.chance(0.5)) network.heal()
    for (const name of names) {
      if (pair.over()) break
      world.count(`scenario: ${name}`)
      network.heal()
      follow(world, scenarios[name](pair), () => {
        for (const end of pair.ends) end.check()
      })
    }
  }
  finish(pair)
  report(pair)
}

function follow(world: World, pauses: Generator<Pause, void, void>, check: () => void): void {
  for (const pause of pauses) {
    if (typeof pause === 'number') world.run(pause)
    else world.run(pause.limit, pause.until)
    check()
  }
}

/** The network is whole from now on: everything must come to its end. */
function finish(pair: Pair): void {
  const { world, client, server, network } = pair
  network.heal()
  world.lateness = 0
  client.slotsDenied = false
  server.socket?.resume()
  follow(world, recover(pair), () => {})
  if (!pair.mayLose && !pair.over()) {
    if (!pair.healthy) throw new Violation(`no carrier on a network that is whole: ${stateOf(pair)}`)
    if (!world.run(60_000, () => pair.over() || pair.isQuiet))
      throw new Violation(`not everything was acknowledged: ${stateOf(pair)}`)
    if (!pair.over()) settle(pair)
  }
  const lasting = !pair.over()
  // The server that is in the place of another one may have let the client in once more.
  if (server.forgetful) pair.close(client)
  else if (lasting) pair.close(world.random.pick(pair.ends))
  const isGone = ({ session }: { session: { done: boolean } | undefined }): boolean => session?.done ?? true
  // A close that nothing hinders is acknowledged: only of the last acknowledgement nobody knows whether it arrived.
  const acknowledged = world.run(promptly, () => isGone(client) || isGone(server))
  if (lasting && !pair.mayLose && !acknowledged)
    throw new Violation(`a close waits for its deadline: ${stateOf(pair)}`)
  if (!world.run(200_000, () => isGone(client) && isGone(server)))
    throw new Violation(`stuck at the end: ${stateOf(pair)}`)
  // Whatever has ended leaves no timer that goes on for ever.
  world.runOut()
  if (!client.closed) throw new Violation('client: never closed')
  if (server.opened > 0 && !server.closed) throw new Violation('server: never closed')
  if (client.leaves.size > 0) throw new Violation('a leave to hold an exchange was not given back')
  if (server.realtime.memory !== 0) throw new Violation(`${server.realtime.memory} bytes are still counted`)
  if (pair.mayLose) {
    world.count(client.closed.clean ? 'end: clean after all' : 'end: lost')
    return
  }
  for (const end of pair.ends) {
    if (!end.closed?.clean)
      throw new Violation(`${end.name}: lost, with ${end.closed?.code} ${end.closed?.reason}`)
    if (!end.closedWith && end.received !== end.peer.sent.length)
      throw new Violation(`${end.name}: lost messages`)
  }
  world.count('end: clean')
}

/** Where nothing is under way, nothing is counted as if it were; and to do nothing does not cost much. */
function settle(pair: Pair): void {
  const { world, client, server, network } = pair
  world.run(3_000)
  for (const { name, session } of [client, server]) {
    if (session && !session.over && !session.closing && session.unsentBytes !== 0)
      throw new Violation(`${name}: ${session.unsentBytes} bytes are unsent where all has arrived`)
  }
  const open = [...network.connections].filter(({ native }) => native.readyState < 2).length
  if (open > 2) throw new Violation(`${open} connections are open`)
  if (world.random.chance(0.8)) return
  const before = network.asked
  world.run(20_000)
  const asked = network.asked - before
  const inShortStreams = client.diary.some((entry) => entry.type === 'lesson' && entry.about === 'life')
  if (asked > (inShortStreams ? mostAskedInShortStreams : mostAsked))
    throw new Violation(`asked ${asked} times where nothing happens: ${stateOf(pair)}`)
}

type Names = { name: string; readonly next: Map<string, Names> }
const names: Names = { name: '', next: new Map() }

/** The words of a counter in one, with `#` for any number. A million runs use a hundred of them, so each is made once. */
function nameOf(...words: readonly string[]): string {
  let at = names
  for (const word of words) {
    let next = at.next.get(word)
    if (!next) {
      next = { name: at.name + word.replace(/\d+/g, '#'), next: new Map() }
      at.next.set(word, next)
    }
    at = next
  }
  return at.name
}

/** What the ends have written down of it shows where the run has been. */
function report({ world, client, server }: Pair): void {
  for (const entry of client.diary) {
    if (entry.type === 'carrier') {
      const { transport, purpose, why = 'open', by } = entry
      world.count(nameOf('client: ', transport, ' to ', purpose))
      world.count(nameOf('client: ended by the ', `${by}`, ': ', why))
    } else if (entry.type === 'sign') world.count(nameOf('client: sign ', entry.sign))
    else if (entry.type === 'lesson') world.count(nameOf('client: learnt ', entry.about))
    else world.count(`client: closed ${entry.code} ${entry.reason}`)
  }
  for (const [i, to] of client.path.entries()) {
    const from = client.path[i - 1]
    if (from) world.count(nameOf('switch: ', from, ' to ', `${to}`))
  }
  for (const entry of (server.socket?.diary ?? []) as { type: string; transport?: string; why?: string }[]) {
    if (entry.type === 'carrier')
      world.count(nameOf('server: ', `${entry.transport}`, ' ended: ', `${entry.why}`))
  }
}

function stateOf(pair: Pair): string {
  const ends = pair.ends.map((end) => {
    const { session, name } = end
    if (!session) return `${name}: no session`
    return `${name}: sent ${end.sent.length}, acknowledged ${session.acknowledged.number}, received ${end.received}, on carrier ${session.link?.epoch}${session.over ? ', over' : ''}${session.done ? ', done' : ''}`
  })
  return `${ends.join('; ')}; ${pair.client.socket.transport}, ${JSON.stringify(pair.client.diary.slice(-4))}`
}

export interface Outcome {
  readonly failure: string | undefined
  readonly trace: readonly string[] | undefined
}

export interface Wish {
  readonly scenario?: ScenarioName | undefined
  readonly trace?: boolean
}

/** One run of a seed: the same always goes the same way. To be called in a task. */
export function simulate(
  everwire: Everwire,
  seed: number,
  number: number,
  counts: Counts,
  wish: Wish = {},
): Outcome {
  const random = new Random(seed, number)
  const trace: string[] | undefined = wish.trace ? [] : undefined
  const { world } = everwire
  world.begin(random, counts, trace)
  const names: ScenarioName[] = []
  for (let i = random.between(1, 3); i > 0; i--) names.push(random.pick(middles))
  if (random.chance(0.75)) names.push(random.pick(enders))
  const { stackTraceLimit } = Error
  // Errors that are caught are part of a run, and a stack takes longer than the error. A trace shows it.
  if (!trace) Error.stackTraceLimit = 0
  try {
    play(everwire, wish.scenario ? [wish.scenario, wish.scenario] : names)
    return { failure: undefined, trace }
  } catch (error) {
    const failure = error instanceof Violation ? error.message : String((error as Error).stack ?? error)
    return { failure: `${failure} (${names.join(', ')})`, trace }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
