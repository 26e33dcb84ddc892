/** What happens in a run: steps shaped like the accidents of real networks, each of which leaves the network whole again. */
import type { Connection } from './network.ts'
import type { Pair } from './pair.ts'

/** Passes so many milliseconds, or waits until something is so, for at most `limit`. */
export type Pause = number | { readonly until: () => boolean; readonly limit: number }
export type Scenario = (pair: Pair) => Generator<Pause, void, void>

const sizes = [0, 1, 20, 60, 63, 64, 65, 127, 128, 300, 900, 1500] as const

function* talk(pair: Pair, count = 6): Generator<Pause, void, void> {
  const { random } = pair.world
  for (let i = random.between(1, count); i > 0; i--) {
    pair.say(random.pick(pair.ends), random.pick(sizes))
    if (random.chance(0.3)) yield random.between(0, 120)
  }
}

/** Waits until both ends use carriers again, so that accidents do not add up to more than the patience. */
export function* recover(pair: Pair): Generator<Pause, void, void> {
  const { client, server, network } = pair
  network.blackout = false
  yield {
    until: () =>
      pair.over() ||
      (client.carrier?.healthy === true && server.end?.carrier?.epoch === client.carrier.epoch),
    limit: 70_000,
  }
}

function current(pair: Pair): Connection | undefined {
  return pair.network.connections.findLast((connection) => !connection.cut)
}

/** Puts the session on this kind of carrier. */
function* on(pair: Pair, transport: 'websocket' | 'stream' | 'polling'): Generator<Pause, void, void> {
  const { client } = pair
  yield* recover(pair)
  if (client.carrier?.transport === transport || pair.over()) return
  client.start(transport, false)
  yield { until: () => pair.over() || client.carrier?.transport === transport, limit: 5_000 }
}

export const scenarios = {
  *chat(pair) {
    yield* talk(pair, 12)
    yield pair.world.random.between(0, 1500)
  },

  *flood(pair) {
    const { random } = pair.world
    for (let i = random.between(70, 150); i > 0; i--) pair.say(random.pick(pair.ends), random.between(0, 10))
    yield random.between(0, 800)
  },

  *cut(pair) {
    const { random } = pair.world
    yield* on(pair, 'websocket')
    yield* talk(pair)
    yield random.between(0, 100)
    for (const connection of pair.network.connections) connection.break()
    yield* talk(pair)
    yield random.between(0, 500)
  },

  *'half-open'(pair) {
    const { random } = pair.world
    yield* on(pair, 'websocket')
    const connection = current(pair)
    if (connection === undefined) return
    const pipe = random.pick([connection.up, connection.down])
    pipe.silent = true
    yield* talk(pair)
    if (random.chance(0.5)) {
      // Until it is noticed by itself.
      yield {
        until: () => pair.over() || (connection.cut && pair.client.carrier !== undefined),
        limit: 70_000,
      }
    } else {
      yield random.between(0, 3000)
      pair.client.renew()
      yield* talk(pair)
    }
  },

  *blackout(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.blackout = true
    yield* talk(pair)
    yield random.between(10, 8_000)
    if (random.chance(0.3)) pair.client.renew()
    yield random.between(10, 8_000)
    pair.network.blackout = false
    if (random.chance(0.5)) for (const connection of pair.network.connections) connection.break()
    else {
      // What was under way is lost: over TCP that cannot be without the connection ending.
      for (const connection of pair.network.connections) connection.up.silent = connection.down.silent = true
      pair.client.renew()
    }
  },

  *resume(pair) {
    yield* talk(pair)
    pair.client.renew()
    yield* talk(pair)
    yield pair.world.random.between(0, 300)
    pair.client.renew()
    yield* talk(pair)
  },

  *overlap(pair) {
    const { random } = pair.world
    yield* recover(pair)
    for (let i = random.between(1, 3); i > 0; i--) {
      pair.client.start(random.pick(['websocket', 'stream', 'polling']), random.chance(0.5))
      yield* talk(pair, 4)
      yield random.between(0, 200)
    }
  },

  *survivor(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const { client } = pair
    const standby = client.start(random.pick(['websocket', 'websocket', 'polling', 'stream']), true)
    yield* talk(pair)
    yield { until: () => pair.over() || standby.standingBy || client.carrier === standby, limit: 3_000 }
    if (!standby.standingBy || client.carrier === undefined) return
    yield* talk(pair)
    yield random.between(0, 100)
    const { carrier } = client
    carrier.end('dead')
    client.lost(carrier)
    yield* talk(pair)
  },

  *'lost exchanges'(pair) {
    const { random } = pair.world
    yield* on(pair, random.pick(['stream', 'polling']))
    for (let i = random.between(1, 4); i > 0; i--) {
      pair.network.fates.push(
        random.pick(['lose request', 'lose answer', 'cut answer', 'repeat', 'late request', 'late answer']),
      )
      yield* talk(pair, 4)
      yield random.between(0, 400)
    }
  },

  *'rough exchanges'(pair) {
    const { random } = pair.world
    yield* on(pair, random.pick(['stream', 'polling']))
    pair.network.roughness = 0.3
    for (let i = random.between(1, 5); i > 0; i--) {
      yield* talk(pair, 4)
      yield random.between(0, 1500)
    }
    pair.network.roughness = 0
    pair.network.fates.length = 0
  },

  *'switch in mid-message'(pair) {
    const { random } = pair.world
    const transport = random.pick(['stream', 'polling'] as const)
    yield* on(pair, transport)
    const { network } = pair
    if (random.chance(0.5)) network.fates.push(random.pick(['cut answer', 'lose answer']))
    pair.say(random.pick(pair.ends), 1500)
    pair.say(random.pick(pair.ends), 900)
    yield random.between(0, 300)
    if (random.chance(0.5)) for (const response of network.responses) response.break()
    pair.client.start(random.chance(0.8) ? 'websocket' : transport, random.chance(0.5))
    yield* talk(pair)
    yield random.between(0, 600)
    if (random.chance(0.7)) {
      for (const connection of network.connections) connection.break()
      pair.client.prefers = [transport]
      yield* talk(pair)
    }
  },

  *'websocket blocked'(pair) {
    const { random } = pair.world
    pair.network.noWebSockets = true
    for (const connection of pair.network.connections) connection.break()
    yield* talk(pair)
    yield random.between(0, 2_000)
    pair.network.noWebSockets = false
  },

  *'ack lost'(pair) {
    const { random } = pair.world
    yield* on(pair, 'websocket')
    const connection = current(pair)
    if (connection === undefined) return
    const up = random.chance(0.5)
    pair.say(up ? pair.client : pair.server.end, random.pick(sizes))
    yield random.between(0, 250)
    ;(up ? connection.down : connection.up).silent = true
    yield random.between(100, 600)
    pair.client.renew()
    yield { until: () => pair.client.carrier !== undefined, limit: 3_000 }
  },

  *'behind backpressure'(pair) {
    // One end goes on hearing an old carrier while the other begins anew from what it knew before.
    const { random } = pair.world
    yield* recover(pair)
    for (let i = 0; i < 20; i++) pair.say(random.pick(pair.ends), 20)
    yield random.between(0, 100)
    pair.client.start(random.pick(['websocket', 'websocket', 'stream', 'polling']), random.chance(0.5))
    for (let i = 0; i < 20; i++) pair.say(random.pick(pair.ends), 20)
    yield random.between(0, 300)
    yield* talk(pair)
  },

  *'idle for long'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield random.between(5_000, 60_000)
    yield* talk(pair)
  },

  *'late timers'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const end = random.pick(pair.ends)
    if (end === undefined) return
    end.lateness = random.between(1_000, 60_000)
    yield random.between(1_000, 90_000)
    yield* talk(pair)
    end.lateness = 0
    yield 10
    end.touched()
  },

  *ping(pair) {
    yield* recover(pair)
    for (const end of pair.ends) {
      if (pair.world.random.chance(0.5)) end?.session?.ping(String(pair.world.now))
      if (pair.world.random.chance(0.2)) end?.session?.pong('unasked')
      end?.touched()
    }
    yield 500
  },

  *'paused application'(pair) {
    const end = pair.world.random.pick(pair.ends)
    if (end === undefined) return
    end.application.paused = true
    yield* talk(pair)
    yield pair.world.random.between(0, 1000)
    if (end.session && pair.world.random.chance(0.5)) {
      yield* recover(pair)
      if (!pair.over()) end.restore()
    }
    end.application.paused = false
    end.touched()
  },

  *snapshot(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    yield random.between(0, 300)
    if (!pair.over()) random.pick(pair.ends)?.restore()
    yield* talk(pair)
  },

  *'buffer full'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const end = random.pick(pair.ends)
    if (end?.session === undefined) return
    pair.network.blackout = true
    for (let i = 0; i < 40; i++) {
      if (pair.say(end, random.pick([300, 900, 1500])) === 'full') break
    }
    yield random.between(0, 5_000)
    pair.network.blackout = false
    for (const connection of pair.network.connections) connection.break()
    pair.client.renew()
  },

  *close(pair) {
    const { random } = pair.world
    yield* talk(pair)
    yield random.between(0, 200)
    pair.close(random.pick(pair.ends))
    yield* talk(pair, 2)
    yield random.between(0, 500)
  },

  *'both close'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    const first = random.pick(pair.ends)
    pair.close(first)
    yield random.chance(0.7) ? 0 : random.between(0, 80)
    pair.close(first === pair.client ? pair.server.end : pair.client)
    yield random.between(0, 500)
  },

  *'close while the carrier dies'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair, 3)
    pair.close(random.pick(pair.ends))
    if (random.chance(0.3)) pair.close(random.pick(pair.ends))
    yield random.between(0, 250)
    pair.world.count('closing: the carrier died')
    if (random.chance(0.7)) {
      for (const connection of pair.network.connections) connection.break()
      for (const response of pair.network.responses) response.break()
      pair.client.renew()
    } else {
      for (const connection of pair.network.connections) {
        random.pick([connection.up, connection.down]).silent = true
      }
      pair.client.renew()
    }
    yield random.between(0, 400)
    if (random.chance(0.3)) pair.client.renew()
    yield random.between(0, 400)
  },

  *'snapshot while closing'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair, 3)
    pair.close(random.pick(pair.ends))
    yield random.between(0, 200)
    const end = random.pick(pair.ends)
    if (end?.session && !end.gone && !end.session.done) end.restore()
    yield random.between(0, 400)
  },

  *'patience runs out'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    pair.mayLose = true
    pair.network.blackout = true
    for (const connection of pair.network.connections) connection.break()
    if (random.chance(0.3)) pair.close(random.pick(pair.ends))
    yield random.between(25_000, 70_000)
    pair.network.blackout = false
    for (const connection of pair.network.connections) connection.up.silent = connection.down.silent = true
  },

  *terminate(pair) {
    const { random } = pair.world
    if (random.chance(0.5)) yield* recover(pair)
    yield* talk(pair)
    yield random.between(0, 100)
    const end = random.pick(pair.ends)
    if (end?.session === undefined || end.session.over) return
    pair.mayLose = true
    pair.world.count('aborted')
    end.session.abort(1006, '', pair.world.now)
    end.touched()
    if (random.chance(0.3)) pair.client.renew()
    yield random.between(0, 500)
  },

  *'server forgets'(pair) {
    yield* recover(pair)
    yield* talk(pair)
    const { end } = pair.server
    if (end === undefined || end.gone || pair.over()) return
    pair.mayLose = true
    end.gone = true
    pair.server.forget(end)
    end.carrier?.end('dead')
    yield pair.world.random.between(0, 500)
  },

  *'too big'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    const end = random.pick(pair.ends)
    if (end?.session === undefined || end.session.closing || end.session.over) return
    pair.mayLose = true
    pair.world.count('too big')
    const other = end === pair.client ? pair.server.application : pair.client.application
    other.failed = true
    pair.say(end, 3500)
    yield* talk(pair)
    yield random.between(0, 1000)
    pair.client.renew()
  },
} satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof scenarios

/** How often each is drawn; those that end the session come last in a pair. */
export const enders: readonly ScenarioName[] = [
  'close',
  'both close',
  'close while the carrier dies',
  'snapshot while closing',
  'patience runs out',
  'terminate',
  'server forgets',
  'too big',
]
export const middles: readonly ScenarioName[] = (Object.keys(scenarios) as ScenarioName[]).filter(
  (name) => !enders.includes(name),
)
