/** What happens to a cluster in a run. Each accident is over when its scenario is, but for servers that are gone for good. */

import type { Network } from '../network.ts'
import type { Pause } from '../scenarios.ts'
import { mostClients } from './load.ts'
import type { NodeEnd } from './node-end.ts'
import { type Side, topics, type Visitor } from './side.ts'
import type { Site } from './site.ts'

export type Scenario = (site: Site) => Generator<Pause, void, void>

const sizes = [0, 1, 20, 60, 128, 900, 2_500] as const
/** A node has said that it lives within the last third of its lease, and a command takes a moment. */
const bearable = 0.6
/** The kill of a process is told to clients within a lease, and the time of an attempt. */
const attempt = 3_000

/** Both ends, the client first. */
function endsOf(visitor: Visitor): readonly (Visitor | Side)[] {
  const { side } = visitor
  return side ? [visitor, side] : [visitor]
}

function* talk(site: Site, count = 4): Generator<Pause, void, void> {
  const { random } = site.world
  for (let i = random.between(1, count); i > 0; i--) {
    const visitor = random.pick(site.visitors)
    random.pick(endsOf(visitor)).say(random.pick(sizes))
    if (random.chance(0.4)) publish(site)
    if (random.chance(0.4)) yield random.between(0, 150)
  }
}

function publish(site: Site): void {
  const { random } = site.world
  const { living } = site
  if (living.length > 0)
    site.ledger.publish(random.pick(living), random.chance(0.1) ? '' : random.pick(topics))
}

/** Whether the session is carried, as far as client and server know. */
export function isHealthy(visitor: Visitor): boolean {
  const { session, side } = visitor
  const epoch = session?.link?.epoch
  return epoch !== undefined && side?.isServed === true && side.session?.link?.epoch === epoch
}

export function isOver({ closed, session, sides }: Visitor): boolean {
  return !!closed || !!session?.over || (sides.length > 0 && sides.every(({ closed }) => !!closed))
}

/** Waits until all clients are carried again. */
export function* recover(site: Site): Generator<Pause, void, void> {
  yield {
    until: () =>
      site.nodes.every((node) => !site.living.includes(node) || node.isReady) &&
      site.visitors.every((visitor) => isOver(visitor) || isHealthy(visitor)),
    limit: 60_000,
  }
}

function cut(network: Network): void {
  for (const connection of [...network.connections]) connection.break()
  for (const response of [...network.responses]) response.cut()
}

function someNode(site: Site): NodeEnd | undefined {
  const { living } = site
  return living.length > 0 ? site.world.random.pick(living) : undefined
}

/** One that has a session, if any has. */
function anOwner(site: Site): NodeEnd | undefined {
  const owners = site.living.filter((node) => site.visitors.some(({ side }) => side?.node === node))
  return owners.length > 0 ? site.world.random.pick(owners) : someNode(site)
}

function somebody(site: Site): NodeEnd | undefined {
  return site.world.random.chance(0.7) ? anOwner(site) : someNode(site)
}

/** Starts the draining of a server, and ends it in order when it is drained. */
function drain(site: Site, node: NodeEnd): void {
  const { world } = site
  const { random } = world
  const within = random.pick([0, 100, 2_000])
  const others = site.living.filter((other) => other !== node)
  const canMove = node.recovers && others.some(({ recovers }) => recovers)
  world.count(canMove ? 'accident: drained' : 'accident: drained, and nobody goes on')
  if (!canMove) {
    site.excuse(node)
    for (const visitor of site.visitors)
      for (const side of visitor.sides) if (side.node === node) side.failed = visitor.failed = true
  }
  node.isDraining = true
  node.drainedAt = world.now
  node.process.enter(() => {
    node.realtime
      .drain({ within })
      .then(() => {
        // What nobody could be given is lost when the process ends.
        site.excuseParked(node)
        return node.realtime.close({ within: 200 })
      })
      .then(() => {
        node.isClosed = true
      })
  })
}

export const scenarios = {
  *talk(site) {
    yield* talk(site, 8)
    yield site.world.random.between(0, 1_000)
  },

  *'another client'(site) {
    const { world } = site
    if (site.visitors.length >= mostClients) return
    const visitor = site.visit()
    const { random } = world
    // Its first requests may come twice, late, or to several servers.
    if (random.chance(0.5)) site.networks[visitor.seat]?.fates.push('repeat', 'late request', 'repeat')
    yield random.chance(0.5) ? random.between(0, 200) : { until: () => visitor.opened > 0, limit: 5_000 }
  },

  *'a client is cut off'(site) {
    const { random } = site.world
    for (let i = random.between(1, 3); i > 0; i--) {
      yield* talk(site, 2)
      cut(random.pick(site.networks))
      yield random.between(0, 600)
    }
  },

  *'rough exchanges'(site) {
    const { random } = site.world
    const network = random.pick(site.networks)
    network.roughness = 0.2
    network.noWebSockets = random.chance(0.5)
    cut(network)
    for (let i = random.between(1, 3); i > 0; i--) {
      yield* talk(site, 4)
      yield random.between(0, 1_000)
    }
    network.roughness = 0
    network.noWebSockets = false
  },

  *drain(site) {
    const node = anOwner(site)
    if (!node || site.living.length < 2) return
    yield* talk(site)
    // The client has not confirmed it when its session moves.
    const { side } = site.world.random.pick(site.visitors)
    if (side?.node === node && site.world.random.chance(0.2)) side.close(3000, 'bye')
    drain(site, node)
    yield* talk(site)
    if (site.world.random.chance(0.7)) yield { until: () => node.isClosed, limit: 20_000 }
    if (site.world.random.chance(0.7)) site.start()
    yield* talk(site)
  },

  *'restart all'(site) {
    const { random } = site.world
    for (const node of site.living) {
      site.start()
      yield { until: () => site.living.every(({ isReady }) => isReady), limit: 10_000 }
      drain(site, node)
      yield* talk(site)
      yield { until: () => node.isClosed, limit: 20_000 }
      yield random.between(0, 300)
    }
  },

  *kill(site) {
    // Nothing else is wrong, so the clients know soon.
    const { world } = site
    // After the store has lost everything, sessions are looked for at all servers for a while.
    if (site.ledger.isBroken) yield 2 * site.lease
    // A balancer may still send requests to a machine without power.
    if (site.nodes.some(({ isDark }) => isDark)) yield 3_000
    yield* recover(site)
    if (site.living.length < 2 || site.nodes.some((node) => node.isDraining && !node.isClosed)) return
    const node = somebody(site)
    if (!node) return
    yield* talk(site)
    site.kill(node, false)
    const since = world.now
    const lost = site.visitors.filter(({ fate, since: at }) => fate === 'must end' && at === since)
    const told = (): boolean => lost.every(({ closed }) => !!closed)
    yield { until: told, limit: site.lease + attempt }
    if (!told())
      world.fail(`a client is not told that its server was killed within ${site.lease + attempt} ms`)
    if (lost.length > 0) {
      world.count('kill: told in time')
      const took = world.now - since
      world.counts.set(
        'most: ms from a kill to the close',
        Math.max(world.counts.get('most: ms from a kill to the close') ?? 0, took),
      )
    }
    if (world.random.chance(0.6)) site.start()
  },

  *'power failure'(site) {
    if (site.living.length < 2) return
    const node = somebody(site)
    if (!node) return
    yield* talk(site)
    site.kill(node, true)
    yield* talk(site)
    yield site.world.random.between(0, 8_000)
    if (site.world.random.chance(0.6)) site.start()
  },

  *'stands still for a moment'(site) {
    const { random } = site.world
    const node = somebody(site)
    if (!node) return
    site.world.count('accident: paused for less than a lease')
    node.process.pause()
    yield* talk(site)
    yield random.between(10, site.lease * bearable - 600)
    node.process.wake()
    yield* talk(site)
  },

  *'stands still for too long'(site) {
    const { world } = site
    const { random } = world
    const node = somebody(site)
    if (!node) return
    world.count('accident: paused for more than a lease')
    // It may be asked for a session at this very moment.
    if (random.chance(0.5) && site.visitors.length < mostClients) {
      site.visit()
      yield random.between(0, 200)
    }
    site.excuse(node)
    node.process.pause()
    yield* talk(site)
    yield site.lease + random.between(0, 6_000)
    site.excuse(node)
    node.process.wake()
    yield* talk(site)
    yield random.between(0, 2_000)
  },

  *'an owner is lost while it opens'(site) {
    // Its answer is lost, and its client asks the others to open the session.
    const { world } = site
    const { random } = world
    if (site.visitors.length >= mostClients || site.living.length < 2) return
    const visitor = site.visit()
    yield { until: () => visitor.sides.length > 0, limit: 3_000 }
    const node = site.nodes.find((one) => one === visitor.side?.node)
    if (!node || visitor.opened > 0) return
    world.count('accident: an owner is lost while it opens')
    visitor.excuse()
    const network = site.networks[visitor.seat] as Network
    cut(network)
    if (random.chance(0.3)) site.kill(node, random.chance(0.5))
    else {
      site.excuse(node)
      node.process.pause()
      yield* talk(site)
      yield site.lease + random.between(0, 3_000)
      visitor.side?.say(20)
      yield random.between(0, 1_000)
      site.excuse(node)
      node.process.wake()
    }
    yield* talk(site)
    yield random.between(0, 1_000)
  },

  *'an old request comes again'(site) {
    const { world } = site
    const { random } = world
    const visitor = random.pick(site.visitors)
    const door = site.doors[visitor.seat]
    if (random.chance(0.5)) {
      closeSomehow(site, visitor)
      yield { until: () => !!visitor.closed, limit: 5_000 }
    }
    for (let i = random.between(1, 3); i > 0; i--) {
      door?.again()
      yield* talk(site, 2)
      yield random.between(0, 500)
    }
  },

  *'cut off from the store'(site) {
    const { world } = site
    const { random } = world
    const node = somebody(site)
    if (!node) return
    const time = random.chance(0.5) ? random.between(10, 600) : site.lease + random.between(0, 6_000)
    world.count(
      time < site.lease ? 'accident: cut off from the store' : 'accident: cut off for more than a lease',
    )
    site.troubleStore()
    if (time > site.lease) site.excuse(node)
    node.engine.memory.cut()
    yield* talk(site)
    yield time
    if (time > site.lease) site.excuse(node)
    node.engine.memory.mend()
    yield* talk(site)
  },

  *'the store is away'(site) {
    const { world } = site
    const { random } = world
    world.count('accident: the store is away')
    site.troubleStore()
    site.store.down()
    // What is being handed over finds nobody, and a client only by chance the server that has it.
    yield* talk(site)
    if (random.chance(0.3)) {
      const node = anOwner(site)
      if (node && site.living.length > 1) {
        site.excuse(node)
        drain(site, node)
      }
    }
    if (random.chance(0.3) && site.visitors.length < mostClients) site.visit()
    yield random.between(10, 8_000)
    if (random.chance(0.3)) cut(random.pick(site.networks))
    yield random.between(10, 3_000)
    site.store.up()
    yield* talk(site)
    yield random.between(0, 2_000)
  },

  *'the store loses everything'(site) {
    const { world } = site
    const { random } = world
    world.count('accident: the store loses everything')
    site.troubleStore()
    site.ledger.isBroken = true
    site.excuseMoving()
    yield* talk(site)
    site.loses()
    site.store.lose()
    yield* talk(site)
    if (random.chance(0.6)) cut(random.pick(site.networks))
    if (random.chance(0.5)) site.start()
    yield random.between(0, 2_000)
    site.excuseMoving()
  },

  *'a replica takes over'(site) {
    const { world } = site
    world.count('accident: a replica takes over')
    site.troubleStore()
    site.ledger.isBroken = true
    site.store.lag()
    yield* talk(site)
    const node = anOwner(site)
    if (node && site.living.length > 1 && world.random.chance(0.5)) {
      drain(site, node)
      yield* talk(site)
    }
    site.loses()
    site.excuseMoving()
    site.store.failOver(true)
    yield* talk(site)
    site.excuseMoving()
  },

  *'two servers cannot reach each other'(site) {
    const { world } = site
    const { random } = world
    const [one, other] = [somebody(site), someNode(site)]
    if (!one || !other || one === other) return
    world.count('accident: two servers cannot reach each other')
    const wire = site.wire(one, other)
    if (random.chance(0.5)) wire.blackout = true
    else wire.refuses = true
    if (random.chance(0.5)) wire.cut()
    const andStore = random.chance(0.3)
    if (andStore) {
      world.count('accident: … nor the store')
      site.troubleStore()
      site.excuse(one)
      one.engine.memory.cut()
    }
    yield* talk(site)
    if (random.chance(0.5)) cut(random.pick(site.networks))
    yield random.between(100, 7_000)
    wire.heal()
    if (andStore) {
      site.excuse(one)
      one.engine.memory.mend()
    }
    yield* talk(site)
  },

  *'late passes'(site) {
    const { world } = site
    const { random } = world
    const [one, other] = [somebody(site), someNode(site)]
    if (!one || !other || one === other) return
    world.count('accident: passes arrive late')
    const wire = site.wire(one, other)
    wire.slowness = random.between(50, 3_000)
    yield* talk(site)
    // Meanwhile the session moves on.
    if (random.chance(0.5) && site.living.length > 1) drain(site, one)
    yield random.between(100, 3_000)
    wire.slowness = 0
    yield* talk(site)
  },

  *'lost commands'(site) {
    const { world } = site
    const { random } = world
    site.troubleStore()
    const unlucky = new Set<NodeEnd>()
    for (let i = random.between(1, 5); i > 0; i--) {
      const node = someNode(site)
      if (!node) return
      const { memory } = node.engine
      // Two beats in a row, and its lease may be over.
      if (unlucky.has(node)) site.excuse(node)
      unlucky.add(node)
      const isDone = random.chance(0.5)
      world.count(isDone ? 'accident: the answer to a command is lost' : 'accident: a command is lost')
      if (isDone) memory.loseAnswer()
      else memory.loseCall()
      if (random.chance(0.3) && site.visitors.length < mostClients) site.visit()
      if (random.chance(0.3)) cut(random.pick(site.networks))
      yield* talk(site, 2)
      yield random.between(0, 400)
    }
  },

  *'commands lost while draining'(site) {
    const { world } = site
    const { random } = world
    const node = anOwner(site)
    if (!node || site.living.length < 2) return
    site.troubleStore()
    world.count('accident: a command is lost while draining')
    yield* talk(site)
    site.excuse(node)
    drain(site, node)
    for (let i = random.between(1, 4); i > 0; i--) {
      const memory = (random.chance(0.5) ? node : someNode(site))?.engine.memory
      if (random.chance(0.5)) memory?.loseAnswer()
      else memory?.loseCall()
      yield random.between(0, 150)
    }
    yield* talk(site)
    yield { until: () => node.isClosed, limit: 20_000 }
  },

  *'late commands'(site) {
    const { world } = site
    const { random } = world
    const node = somebody(site)
    if (!node) return
    world.count('accident: commands arrive late')
    site.troubleStore()
    const slowness = random.between(50, 2_500)
    // Its lease may be over before its next word arrives.
    if (slowness > site.lease / 6) site.excuse(node)
    if (random.chance(0.5)) node.engine.slowness = slowness
    else node.engine.answerSlowness = slowness
    if (random.chance(0.5) && site.visitors.length < mostClients) site.visit()
    yield* talk(site)
    yield random.between(100, 4_000)
    if (slowness > site.lease / 6) site.excuse(node)
    node.engine.slowness = node.engine.answerSlowness = 0
    yield* talk(site)
    // Until the last of them has arrived, and its next word behind it.
    yield slowness + site.lease / 2
    if (slowness > site.lease / 6) site.excuse(node)
  },

  *'deliveries go wrong'(site) {
    const { world } = site
    const { random } = world
    site.troubleStore()
    for (let i = random.between(1, 5); i > 0; i--) {
      const memory = someNode(site)?.engine.memory
      world.count('accident: a delivery goes wrong')
      random.pick([() => memory?.repeat(), () => memory?.drop(), () => memory?.delay()])()
      publish(site)
      publish(site)
      yield random.between(0, 400)
    }
  },

  *storm(site) {
    // Several things at once, also to servers that are about to end.
    const { world } = site
    const { random } = world
    world.count('accident: a storm')
    site.troubleStore()
    site.excuseAll()
    const before = site.visitors.length
    for (let i = random.between(3, 7); i > 0; i--) {
      const node = somebody(site)
      if (!node) break
      const what = random.between(0, 7)
      if (what === 0 && site.living.length > 1) drain(site, node)
      else if (what === 1 && site.living.length > 1) site.kill(node, random.chance(0.3))
      else if (what === 2) node.process.pause()
      else if (what === 3) node.process.wake()
      else if (what === 4) node.engine.memory.cut()
      else if (what === 5) node.engine.memory.mend()
      else if (what === 6) node.engine.slowness = random.between(0, 1_500)
      else if (site.visitors.length < mostClients) site.visit()
      site.excuseAll()
      yield* talk(site, 2)
      yield random.between(0, random.pick([100, 3_000]))
      site.excuseAll()
    }
    if (site.visitors.length > before) site.excuseAll()
  },

  *'handed over, and what was meanwhile is lost'(site) {
    const { world, store } = site
    const { random } = world
    while (site.living.length < 3) site.start()
    yield { until: () => site.living.every(({ isReady }) => isReady), limit: 10_000 }
    const node = anOwner(site)
    const side = site.visitors.map((visitor) => visitor.side).find((one) => one?.node === node)
    if (!node || !side) return
    const isWaiting = (): boolean => store.owner(side.id) === 'waiting'
    const goesOn = (): boolean => side.node !== node && side.isServed
    yield* talk(site)
    drain(site, node)
    yield { until: isWaiting, limit: 5_000 }
    if (!isWaiting()) return
    site.troubleStore()
    site.ledger.isBroken = true
    store.lag()
    yield { until: goesOn, limit: 5_000 }
    const next = site.nodes.find((one) => one === side.node)
    if (!next || !goesOn() || !site.living.includes(next)) return
    if (random.chance(0.5)) {
      world.count('accident: killed in the moment in which it goes on')
      site.kill(next, false)
      yield* talk(site)
      return
    }
    yield* talk(site)
    // The application is told of it, and the client does not know that yet.
    yield { until: () => isHealthy(side.visitor), limit: 5_000 }
    const { received } = side
    side.visitor.say(20)
    yield { until: () => side.received > received, limit: 3_000 }
    drain(site, next)
    yield { until: isWaiting, limit: 5_000 }
    world.count('accident: a replica takes over that lacks a hand-over')
    site.loses()
    site.excuseMoving()
    store.failOver(true)
    yield* talk(site)
    site.excuseMoving()
  },

  *close(site) {
    const { random } = site.world
    yield* talk(site)
    const visitor = random.pick(site.visitors)
    closeSomehow(site, visitor)
    yield random.between(0, 600)
  },
} satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof scenarios

export const names: readonly ScenarioName[] = Object.keys(scenarios) as ScenarioName[]

/** Either end, or both. */
export function closeSomehow({ world }: Site, visitor: Visitor): void {
  const { random } = world
  const ends = endsOf(visitor).filter(({ isOpen }) => isOpen)
  if (ends.length === 0) return
  const first = random.pick(ends)
  first.close(random.pick([1000, 3000]), random.pick(['', 'bye']))
  if (random.chance(0.2)) for (const end of ends) if (end !== first) end.close(1000, '')
}
