/** One run: a few scenarios for two ends, and what must be true when they are over. */
import type { End } from './end.ts'
import { Pair } from './pair.ts'
import { enders, middles, type Pause, recover, type ScenarioName, scenarios } from './scenarios.ts'
import { type Counts, type Everwire, Random, Violation, World } from './world.ts'

/** Less than any deadline of a close. */
const promptly = 25_000

function play(pair: Pair, names: readonly ScenarioName[]): void {
  const { world, client, network } = pair
  if (world.random.chance(0.1)) network.noWebSockets = true
  if (world.random.chance(0.1)) network.roughness = 0.2
  client.open()
  world.run(30_000, () => client.application.opened > 0 && pair.server.end !== undefined)
  network.noWebSockets = false
  network.roughness = 0
  for (const name of names) {
    if (client.gone || pair.server.end?.gone) break
    world.count(`scenario: ${name}`)
    follow(world, scenarios[name](pair))
  }
  finish(pair)
}

function follow(world: World, pauses: Generator<Pause, void, void>): void {
  for (const pause of pauses) {
    if (typeof pause === 'number') world.run(pause)
    else world.run(pause.limit, pause.until)
  }
}

/** The network is whole from now on: everything must come to its end. */
function finish(pair: Pair): void {
  const { world, client, server, network } = pair
  network.fates.length = 0
  network.roughness = 0
  network.noWebSockets = false
  network.blackout = false
  for (const end of pair.ends) {
    if (end === undefined) continue
    end.lateness = 0
    end.application.paused = false
    end.touched()
  }
  follow(world, recover(pair))
  if (!pair.mayLose && !pair.over()) {
    const quiet = world.run(
      90_000,
      () => pair.over() || pair.ends.every((end) => end === undefined || isQuiet(end)),
    )
    if (!quiet) throw new Violation(`not everything was acknowledged: ${stateOf(pair)}`)
    for (const end of pair.ends) {
      if (end?.session && !end.session.closing && !end.session.over && end.session.snapshot().out.length > 0)
        throw new Violation('the queue is not empty')
    }
  }
  const lasting = !pair.over()
  if (lasting) pair.close(world.random.pick(pair.ends))
  // A close that nothing hinders is acknowledged: only of the last acknowledgement nobody knows whether it arrived.
  const acknowledged = world.run(promptly, () => client.gone || (server.end?.gone ?? true))
  if (lasting && !pair.mayLose && !acknowledged)
    throw new Violation(`a close waits for its deadline: ${stateOf(pair)}`)
  const done = world.run(200_000, () => client.gone && (server.end?.gone ?? true))
  if (!done) throw new Violation(`stuck at the end: ${stateOf(pair)}`)
  if (pair.mayLose) {
    world.count(client.application.closed?.clean ? 'end: clean after all' : 'end: lost')
    return
  }
  for (const { application } of pair.ends.filter((end) => end !== undefined)) {
    if (application.closed === undefined) throw new Violation(`${application.name}: never closed`)
    if (!application.closed.clean)
      throw new Violation(`${application.name}: lost, with ${application.closed.reason}`)
    if (application.received !== application.peer.sent.length)
      throw new Violation(`${application.name}: lost messages`)
  }
  if (server.application.opened !== 1 || client.application.opened !== 1)
    throw new Violation('opened more than once')
  world.count('end: clean')
}

function isQuiet(end: End): boolean {
  const { session, application } = end
  if (session === undefined) return false
  return (
    session.acknowledged.number >= application.sent.length &&
    application.received === application.peer.sent.length
  )
}

function stateOf(pair: Pair): string {
  return pair.ends
    .map((end) => {
      if (end?.session === undefined) return 'no session'
      const { session, application, carrier } = end
      const { sent = '-', epoch = '-' } = carrier?.link ?? {}
      return `${application.name}: sent ${application.sent.length}, acknowledged ${session.acknowledged.number}, received ${
        application.received
      }, on carrier ${epoch} at ${sent}${session.over ? ', over' : ''}${session.done ? ', done' : ''}${end.gone ? ', gone' : ''}`
    })
    .join('; ')
}

export interface Outcome {
  readonly failure: string | undefined
  readonly trace: readonly string[] | undefined
}

/** One run of a seed: the same always goes the same way. */
export function simulate(
  everwire: Everwire,
  seed: number,
  number: number,
  counts: Counts,
  options: { readonly scenario?: ScenarioName | undefined; readonly trace?: boolean } = {},
): Outcome {
  const random = new Random(seed, number)
  const trace: string[] | undefined = options.trace ? [] : undefined
  const world = new World(everwire, random, counts, trace)
  const names: ScenarioName[] = []
  for (let i = random.between(1, 4); i > 0; i--) names.push(random.pick(middles))
  if (random.chance(0.75)) names.push(random.pick(enders))
  try {
    play(new Pair(world), options.scenario ? [options.scenario, options.scenario] : names)
    return { failure: undefined, trace }
  } catch (error) {
    const failure = error instanceof Violation ? error.message : String((error as Error).stack ?? error)
    return { failure: `${failure} (${names.join(', ')})`, trace }
  }
}
