/** What happens in a run: steps shaped like the accidents of real networks, each of which leaves the network whole again. */
import type { Pair } from './pair.ts'

/** Passes so many milliseconds, or waits until something is so, for at most `limit`. */
export type Pause = number | { readonly until: () => boolean; readonly limit: number }
export type Scenario = (pair: Pair) => Generator<Pause, void, void>

const sizes = [0, 1, 20, 60, 63, 64, 65, 127, 128, 300, 900, 1500, 1500, 9_000] as const
const signs = ['online', 'network', 'visible', 'wake'] as const

/** A client gives up what it holds long before, and before it doubts the carrier. */
const inTheWay = 3_000

function* talk(pair: Pair, count = 4): Generator<Pause, void, void> {
  const { random } = pair.world
  for (let i = random.between(1, count); i > 0; i--) {
    pair.say(random.pick(pair.ends), random.pick(sizes))
    if (random.chance(0.3)) yield random.between(0, 120)
  }
}

/** Waits until both ends use a carrier again, so that accidents do not add up to more than the patience. */
export function* recover(pair: Pair): Generator<Pause, void, void> {
  pair.network.blackout = false
  pair.world.offline = false
  yield { until: () => pair.over() || pair.healthy, limit: 70_000 }
}

/** Leaves the client nothing but HTTP for now, if it may use that at all. */
function* overHttp(pair: Pair): Generator<Pause, void, void> {
  yield* recover(pair)
  if (pair.client.socket.transport !== 'websocket') return
  pair.network.noWebSockets = true
  pair.connection?.break()
  yield { until: () => pair.over() || pair.healthy, limit: 3_000 }
}

function signal(pair: Pair): void {
  pair.client.page(pair.world.random.pick(signs))
}

export const scenarios = {
  *chat(pair) {
    yield* talk(pair, 8)
    yield pair.world.random.between(0, 1000)
  },

  *flood(pair) {
    const { random } = pair.world
    for (let i = random.between(66, 100); i > 0; i--) pair.say(random.pick(pair.ends), random.between(0, 10))
    yield random.between(0, 500)
  },

  *'long message'(pair) {
    const { random } = pair.world
    pair.say(random.pick(pair.ends), 40_000)
    yield* talk(pair)
    yield random.between(0, 400)
    if (random.chance(0.5)) pair.cutAll()
    yield* talk(pair)
  },

  *cut(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    yield random.between(0, 100)
    pair.cutAll()
    yield* talk(pair)
    yield random.between(0, 500)
  },

  *'cut again and again'(pair) {
    const { random } = pair.world
    for (let i = random.between(2, 4); i > 0; i--) {
      yield* talk(pair, 2)
      yield random.between(0, 1500)
      pair.cutAll()
    }
  },

  *'half-open'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const { connection } = pair
    if (connection === undefined) return
    random.pick([connection.up, connection.down]).silent = true
    yield* talk(pair)
    if (random.chance(0.5)) {
      // Until it is noticed by itself.
      yield { until: () => pair.over() || (connection.cut && pair.healthy), limit: 70_000 }
    } else {
      yield random.between(0, 3000)
      signal(pair)
      yield* talk(pair)
    }
  },

  *blackout(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.blackout = true
    // Browsers see some of it, and think of the rest that it is one.
    pair.world.offline = random.chance(0.4)
    yield* talk(pair)
    yield random.between(10, 6_000)
    if (random.chance(0.3)) signal(pair)
    yield random.between(10, 6_000)
    pair.network.blackout = false
    if (random.chance(0.5)) pair.cutAll()
    // What was under way is lost: over TCP that cannot be without the connection ending.
    else pair.silenceAll()
    if (random.chance(0.9)) pair.world.offline = false
    if (random.chance(0.5)) pair.client.page('online')
  },

  *stall(pair) {
    // Everything is only late: nothing of it may be taken for an end for long.
    const { random } = pair.world
    yield* recover(pair)
    pair.network.slowness = random.between(300, 4_000)
    yield* talk(pair)
    yield random.between(500, 8_000)
    yield* talk(pair, 2)
    if (random.chance(0.3)) signal(pair)
    pair.network.slowness = 0
    yield random.between(0, 2_000)
  },

  *'busy line'(pair) {
    // So much is under way that another carrier is as slow as the one in use.
    const { random } = pair.world
    yield* recover(pair)
    if (random.chance(0.5)) {
      // An answer waits behind the bytes of its own connection.
      pair.network.slowness = random.between(600, 1_300)
      pair.network.pace = random.between(8, 14)
      pair.say(pair.client, 66_000)
      yield random.between(6_000, 9_000)
    } else {
      pair.network.slowness = random.between(600, 2_500)
      const end = random.pick(pair.ends)
      for (let i = random.between(1, 3); i > 0; i--) pair.say(end, random.pick([40_000, 66_000]))
      if (random.chance(0.5)) signal(pair)
      yield random.between(500, 5_000)
    }
    pair.network.slowness = 0
    pair.network.pace = Number.POSITIVE_INFINITY
    yield* talk(pair)
  },

  *signs(pair) {
    const { random } = pair.world
    if (random.chance(0.5)) yield* recover(pair)
    for (let i = random.between(1, 3); i > 0; i--) {
      signal(pair)
      yield* talk(pair, 3)
      yield random.between(0, 400)
    }
  },

  *'overlap by silence'(pair) {
    // The carrier in use answers again when another is on its way.
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    pair.network.slowness = random.between(50, 1_500)
    signal(pair)
    yield* talk(pair, 3)
    yield random.between(0, 400)
    pair.network.slowness = 0
    yield* talk(pair, 3)
    if (random.chance(0.3)) pair.connection?.break()
    yield random.between(0, 400)
  },

  *'away and back'(pair) {
    const { random } = pair.world
    const away = random.between(0, random.pick([100, 5_000, 20_000]))
    // The server's patience runs all that time, and did before if there was no carrier.
    if (away > 5_000 || random.chance(0.5)) yield* recover(pair)
    yield* talk(pair)
    pair.client.page('away')
    yield* talk(pair)
    yield away
    pair.client.page('back')
    if (away > 5_000) yield* recover(pair)
    yield* talk(pair)
  },

  *'lost exchanges'(pair) {
    const { random } = pair.world
    yield* overHttp(pair)
    for (let i = random.between(1, 3); i > 0; i--) {
      pair.network.fates.push(
        random.pick([
          'lose request',
          'lose answer',
          'cut answer',
          'repeat',
          'late request',
          'late answer',
          'answer replaced',
        ]),
      )
      yield* talk(pair, 4)
      yield random.between(0, 400)
    }
    pair.network.fates.length = 0
    pair.network.noWebSockets = false
  },

  *'one exchange fails'(pair) {
    // And the client is told so: what it sent goes out again at once, before anybody doubts anything.
    const { random } = pair.world
    yield* overHttp(pair)
    const { client, network } = pair
    yield { until: () => pair.over() || pair.isQuiet, limit: 5_000 }
    yield 1_500
    if (pair.over() || !pair.healthy || pair.world.isLate || client.socket.transport === 'websocket') return
    // A request that was lost before may still be waited for.
    if (!pair.isQuiet) return
    const doubts = (): number => client.diary.filter(({ type }) => type === 'sign').length
    const before = doubts()
    network.fates.push(random.pick(['lose answer', 'cut answer', 'error page', 'portal', 'redirect']))
    pair.say(client, 20)
    yield { until: () => pair.over() || client.isQuiet, limit: 2_500 }
    if (!pair.over() && doubts() > before) pair.world.fail('one request failed, and a carrier was doubted')
    network.fates.length = 0
    network.noWebSockets = false
  },

  *'rough exchanges'(pair) {
    const { random } = pair.world
    yield* overHttp(pair)
    pair.network.roughness = 0.3
    for (let i = random.between(1, 4); i > 0; i--) {
      yield* talk(pair, 4)
      yield random.between(0, 1000)
    }
    pair.network.roughness = 0
    pair.network.noWebSockets = false
  },

  *'captive portal'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.httpFault = random.pick(['error page', 'portal', 'redirect'])
    pair.cutAll()
    pair.network.noWebSockets = true
    yield* talk(pair)
    yield random.between(0, 4_000)
    pair.network.httpFault = undefined
    pair.network.noWebSockets = false
    if (random.chance(0.5)) signal(pair)
  },

  *'signed out for a moment'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.httpFault = 'sign in'
    pair.network.refusal = random.pick([401, 403])
    pair.network.noWebSockets = true
    pair.cutAll()
    yield* talk(pair)
    // From the first refusal on there is a second to sign in again.
    yield random.between(0, 400)
    pair.network.httpFault = undefined
    pair.network.noWebSockets = false
  },

  *'streams held back'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.holdsBack = random.pick(['all', 'what follows'])
    if (random.chance(0.5)) pair.network.noWebSockets = true
    pair.cutAll()
    yield* talk(pair)
    yield random.between(500, 5_000)
    yield* talk(pair)
    pair.network.holdsBack = 'nothing'
    pair.network.noWebSockets = false
  },

  *'long answers cut'(pair) {
    const { random } = pair.world
    pair.network.life = random.between(2_000, 5_000)
    pair.network.noWebSockets = true
    pair.cutAll()
    for (let i = 3; i > 0; i--) {
      yield* talk(pair, 2)
      yield random.between(1_000, 5_000)
    }
    pair.network.life = 0
    pair.network.noWebSockets = false
  },

  *'silence is cut'(pair) {
    const { random } = pair.world
    pair.network.cutsSilence = random.between(1_000, 4_000)
    yield* recover(pair)
    for (let i = 2; i > 0; i--) {
      yield random.between(1_000, 6_000)
      yield* talk(pair, 2)
    }
    pair.network.cutsSilence = 0
  },

  *'bodies refused'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    pair.network.largestBody = random.pick([1_200, 3_000, 20_000])
    pair.network.saysTooLarge = random.chance(0.5)
    if (random.chance(0.5)) {
      pair.network.noWebSockets = true
      pair.connection?.break()
    }
    pair.say(pair.client, random.pick([1_500, 9_000, 20_000]))
    yield* talk(pair)
    yield random.between(500, 6_000)
    pair.network.largestBody = 0
    pair.network.noWebSockets = false
  },

  *'switch in mid-message'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    if (random.chance(0.5)) pair.network.fates.push(random.pick(['cut answer', 'lose answer']))
    pair.say(random.pick(pair.ends), 9_000)
    pair.say(random.pick(pair.ends), 9_000)
    yield random.between(0, 300)
    if (random.chance(0.5)) pair.cutAll()
    else signal(pair)
    yield* talk(pair)
    yield random.between(0, 600)
    pair.network.fates.length = 0
  },

  *'websocket blocked'(pair) {
    const { random } = pair.world
    if (random.chance(0.7)) pair.network.noWebSockets = true
    else pair.network.forbidsWebSockets = true
    for (const connection of [...pair.network.connections]) connection.break()
    yield* talk(pair)
    yield random.between(0, 2_000)
    pair.network.noWebSockets = pair.network.forbidsWebSockets = false
    yield random.pick([0, 0, 1_500, 5_000])
    yield* talk(pair)
  },

  *'ack lost'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const { connection } = pair
    if (connection === undefined) return
    const up = random.chance(0.5)
    pair.say(up ? pair.client : pair.server, random.pick(sizes))
    yield random.between(0, 250)
    ;(up ? connection.down : connection.up).silent = true
    yield random.between(100, 600)
    signal(pair)
    yield { until: () => pair.over() || pair.healthy, limit: 5_000 }
  },

  *'behind backpressure'(pair) {
    // One end goes on hearing an old carrier while the other begins anew from what it knew before.
    const { random } = pair.world
    yield* recover(pair)
    for (let i = 0; i < 12; i++) pair.say(random.pick(pair.ends), random.pick([20, 900]))
    yield random.between(0, 100)
    signal(pair)
    for (let i = 0; i < 12; i++) pair.say(random.pick(pair.ends), random.pick([20, 900]))
    yield random.between(0, 300)
    yield* talk(pair)
  },

  *'idle for long'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield random.between(5_000, 40_000)
    yield* talk(pair)
  },

  *'late timers'(pair) {
    const { random, world } = { random: pair.world.random, world: pair.world }
    yield* recover(pair)
    world.lateness = random.between(500, 20_000)
    yield* talk(pair)
    yield random.between(1_000, 20_000)
    yield* talk(pair)
    world.lateness = 0
    if (random.chance(0.5)) pair.client.page('wake')
  },

  *ping(pair) {
    yield* recover(pair)
    pair.server.ping()
    if (pair.world.random.chance(0.3)) pair.cutAll()
    yield pair.world.random.between(0, 500)
  },

  *'paused application'(pair) {
    const { random } = pair.world
    const { socket } = pair.server
    if (socket === undefined) return
    socket.pause()
    for (let i = random.between(1, 6); i > 0; i--) pair.say(pair.client, random.pick(sizes))
    yield* talk(pair)
    yield random.between(0, random.pick([1_000, 6_000]))
    if (random.chance(0.3)) pair.cutAll()
    yield* talk(pair)
    yield random.between(0, 1000)
    if (random.chance(0.3)) {
      yield* recover(pair)
      if (!pair.over()) pair.server.restore()
    }
    socket.resume()
  },

  *restart(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    yield random.between(0, 300)
    if (!pair.over()) pair.server.restore()
    yield* talk(pair)
  },

  *'no slots'(pair) {
    const { random } = pair.world
    const { client } = pair
    client.slotsDenied = true
    for (const giveBack of [...client.leaves]) giveBack()
    yield* talk(pair)
    if (random.chance(0.5)) pair.cutAll()
    yield random.between(500, 4_000)
    yield* talk(pair)
    client.slotsDenied = false
    yield random.between(0, 1500)
  },

  *'few streams'(pair) {
    const { world, client, network } = pair
    const { random } = world
    yield* overHttp(pair)
    if (!client.scarce || (client.socket.transport ?? 'websocket') === 'websocket') return
    network.streams = random.between(1, 2)
    network.keepsAbandoned = random.chance(0.5)
    yield* talk(pair)
    yield { until: () => pair.over() || pair.isQuiet, limit: 10_000 }
    yield random.between(0, 3_000)
    const isQuiet = !pair.over() && pair.isQuiet && !world.isLate
    for (const end of pair.ends) pair.say(end, 20)
    const arrived = (): boolean =>
      pair.over() || pair.ends.every(({ received, peer }) => received === peer.sent.length)
    // What is held gives way after half of four round trips, as far as the client knows them.
    const limit = inTheWay + 2 * network.longestTrip
    yield { until: arrived, limit }
    // Where much had to be said before, that may take its time.
    if (isQuiet && !arrived()) world.fail(`a message waits for ${limit} ms behind what is held`)
    network.keepsAbandoned = false
    network.streams = Number.POSITIVE_INFINITY
  },

  *'buffer full'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const end = random.pick(pair.ends)
    if (!end.isOpen || end.maxBuffered > 100_000) return
    pair.mayLose = true
    pair.network.blackout = true
    for (let i = 0; i < 40 && end.isOpen; i++) pair.say(end, random.pick([300, 900, 1500]), true)
    yield random.between(0, 5_000)
    pair.network.blackout = false
    pair.cutAll()
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
    pair.close(first === pair.client ? pair.server : pair.client)
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
    if (random.chance(0.7)) pair.cutAll()
    else for (const { up, down } of pair.network.connections) random.pick([up, down]).silent = true
    signal(pair)
    yield random.between(0, 400)
    if (random.chance(0.3)) signal(pair)
    yield random.between(0, 400)
  },

  *'restart while closing'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair, 3)
    pair.close(random.pick(pair.ends))
    yield random.between(0, 200)
    pair.server.restore()
    yield random.between(0, 400)
  },

  *'patience runs out'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    yield* talk(pair)
    pair.mayLose = true
    pair.network.blackout = true
    if (random.chance(0.5)) pair.cutAll()
    if (random.chance(0.3)) pair.close(random.pick(pair.ends))
    yield random.between(25_000, 60_000)
    pair.network.blackout = false
    pair.silenceAll()
  },

  *'signed out'(pair) {
    const { random } = pair.world
    yield* overHttp(pair)
    if (pair.over() || !pair.client.session?.link || pair.client.socket.transport === 'websocket') return
    pair.mayLose = true
    // Its client gives up, and says so once a request gets through again.
    pair.client.abrupt = true
    pair.network.httpFault = 'sign in'
    pair.network.refusal = random.pick([401, 403])
    pair.network.noWebSockets = true
    pair.cutAll()
    yield* talk(pair)
    yield { until: () => pair.client.closed !== undefined, limit: 20_000 }
    const { code, reason } = pair.client.closed ?? {}
    if (code !== 1008 || reason !== `${pair.network.refusal} Sign in`)
      pair.world.fail(`signed out, and the client was told ${code} ${reason}`)
    pair.network.httpFault = undefined
    pair.network.noWebSockets = false
  },

  *terminate(pair) {
    const { random } = pair.world
    if (random.chance(0.5)) yield* recover(pair)
    yield* talk(pair)
    yield random.between(0, 100)
    if (!pair.server.socket || pair.over()) return
    pair.mayLose = true
    pair.world.count('aborted')
    pair.server.terminate()
    if (random.chance(0.3)) signal(pair)
    yield random.between(0, 500)
  },

  *'page leaves'(pair) {
    const { random } = pair.world
    if (random.chance(0.5)) yield* recover(pair)
    yield* talk(pair)
    if (pair.over()) return
    pair.mayLose = true
    pair.client.abrupt = true
    pair.client.page('leaving')
    yield random.between(0, 500)
  },

  *'server forgets'(pair) {
    yield* recover(pair)
    yield* talk(pair)
    if (!pair.server.socket || pair.over()) return
    pair.mayLose = true
    pair.world.count('server: forgot')
    pair.server.forget()
    pair.cutAll()
    yield pair.world.random.between(0, 500)
  },

  *'server forgets a little'(pair) {
    // It takes up the session as it was a while ago: what it has forgotten is lost, and both ends must see it.
    const { random } = pair.world
    yield* recover(pair)
    if (!pair.server.socket || pair.over()) return
    pair.mayLose = true
    const memory = pair.server.remember()
    yield* talk(pair)
    yield random.between(0, 1_000)
    if (pair.over()) return
    pair.server.restore(memory)
    pair.cutAll()
    // What the server sent now would have numbers that its client knows already.
    pair.say(pair.client, random.pick(sizes))
    yield { until: () => pair.over() || pair.healthy, limit: 10_000 }
  },

  *'too big'(pair) {
    const { random } = pair.world
    yield* recover(pair)
    const end = random.pick(pair.ends)
    if (!end.isOpen || pair.over() || end.closedWith || end.maxBuffered < 1_000_000) return
    pair.mayLose = true
    pair.world.count('too big')
    end.peer.failed = true
    end.most = 100_000
    end.say(end.most)
    yield* talk(pair)
    yield random.between(0, 1000)
    signal(pair)
  },
} satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof scenarios

/** Those that end the session come last in a run. */
export const enders: readonly ScenarioName[] = [
  'close',
  'close',
  'both close',
  'close while the carrier dies',
  'restart while closing',
  'patience runs out',
  'signed out',
  'terminate',
  'page leaves',
  'server forgets',
  'server forgets a little',
  'too big',
  'buffer full',
]
export const middles: readonly ScenarioName[] = (Object.keys(scenarios) as ScenarioName[]).filter(
  (name) => !enders.includes(name),
)
