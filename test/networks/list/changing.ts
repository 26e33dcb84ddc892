/** What changes while both ends talk. */
import type { HostileNetwork } from '../../../testing/index.ts'
import type { Network, NetworkLimits, Scene } from '../network.ts'
import { allowed, hiccup, overdue, raceDelay, refused, roundTrip } from './limits.ts'

/** It is as it was, then something happens, and they go on. */
function suddenly(happens: (net: HostileNetwork) => unknown): (scene: Scene) => Promise<void> {
  return async ({ net, exchange }) => {
    await exchange(50)
    happens(net)
    await exchange(50)
  }
}

/** The same, but it is over after a while. */
function forSeconds(
  seconds: number,
  begin: (net: HostileNetwork) => unknown,
  end: (net: HostileNetwork) => unknown,
): (scene: Scene) => Promise<void> {
  return async ({ net, exchange, lasting }) => {
    await exchange(50)
    begin(net)
    await lasting(seconds * 1000)
    end(net)
    await exchange(50)
  }
}

/** Tries go on while nothing gets through, with pauses that grow. */
const longestPause = 5000
/** How long an attempt may take at all. */
const connectTimeout = 10_000

function away(seconds: number): NetworkLimits {
  const gap = seconds * 1000 + longestPause + 5 * roundTrip
  return { ...allowed, gap, because: 'the pauses between tries grow up to five seconds' }
}

const small = { large: 20 }

const withoutNetwork = forSeconds(
  10,
  (net) => net.set({ connections: 'swallow' }).silence(),
  (net) => {
    net.silence()
    net.set({ connections: 'pass' })
  },
)

export const changing: readonly Network[] = [
  ...([true, false] as const).flatMap((webSocket) =>
    ([true, false] as const).map(
      (large): Network => ({
        name: `another network${webSocket ? '' : ', on HTTP'}${large ? ', large messages' : ''}`,
        does: `All that is open falls silent${large ? ', while large messages are under way' : ''}; new connections work.`,
        ...(!webSocket && { faults: { upgrade: 403 } }),
        ...(!large && { talk: small }),
        during: suddenly((net) => net.silence()),
        unnoticed: 45,
        limits: {
          ...(webSocket ? allowed : refused),
          gap: overdue + 3 * roundTrip,
          because: 'what is overdue is the first sign; another connection is there after three round trips',
        },
      }),
    ),
  ),
  {
    name: 'no network for 10 s',
    talk: small,
    does: 'All that is open falls silent, and nothing new is answered for ten seconds.',
    during: withoutNetwork,
    unnoticed: 45,
    longer: 8,
    limits: away(10),
  },
  {
    name: 'no network for 10 s, large messages',
    does: 'All that is open falls silent, and nothing new is answered for ten seconds.',
    during: withoutNetwork,
    unnoticed: 45,
    longer: 8,
    limits: {
      ...away(10),
      gap: 10_000 + connectTimeout,
      because:
        'where much is under way a line may be slow, so an attempt is given as long as any, also one that is in vain',
    },
  },
  {
    name: 'refused for 10 s',
    does: 'Everything is cut, and every new connection too, for ten seconds.',
    during: forSeconds(
      10,
      (net) => net.set({ connections: 'refuse' }).cut(),
      (net) => net.set({ connections: 'pass' }),
    ),
    longer: 8,
    limits: away(10),
  },
  {
    name: 'WebSocket, not, and again',
    does: 'Lets WebSockets through, then cuts and refuses them, then lets them through.',
    stopsWebSocket: true,
    during: async ({ net, client, exchange }) => {
      await exchange(50)
      net.set({ upgrade: 403 }).cut()
      await exchange(50)
      net.set({ upgrade: 'pass' })
      await client.carriedBy('websocket')
      await exchange(50)
    },
    limits: {
      ...allowed,
      gap: 5 * roundTrip + hiccup,
      because: 'what is lost and then refused takes as long as at the beginning',
      ends: 'websocket',
    },
  },
  {
    name: 'WebSocket from now on',
    does: 'Refuses WebSockets at first.',
    faults: { upgrade: 403 },
    stopsWebSocket: true,
    during: async ({ net, client, exchange }) => {
      await exchange(50)
      net.set({ upgrade: 'pass' })
      await client.carriedBy('websocket')
      await exchange(50)
    },
    limits: {
      ...allowed,
      first: refused.first,
      gap: 100,
      because: 'a planned switch is no gap',
      ends: 'websocket',
    },
  },
  ...(['swallow', 'mute'] as const).map(
    (upgrade): Network => ({
      name: `WebSocket: ${upgrade === 'mute' ? 'mute' : 'no answer'} from now on`,
      does: `Cuts a WebSocket that worked, and ${upgrade === 'mute' ? 'lets nothing but the handshake through' : 'never answers a handshake'} afterwards.`,
      during: suddenly((net) => net.set({ upgrade }).cut()),
      stopsWebSocket: true,
      limits: {
        ...allowed,
        gap: raceDelay + 3 * roundTrip + hiccup,
        because: 'the next transport begins beside the one that hangs',
      },
    }),
  ),
  {
    name: 'buffered from now on',
    does: 'Cuts a stream that worked, and passes answers on once they are complete afterwards; no WebSockets.',
    faults: { upgrade: 403 },
    during: async ({ net, client, exchange }) => {
      await exchange(50)
      net.set({ buffer: true }).cut()
      await client.carriedBy('polling')
      await exchange(50)
    },
    limits: {
      ...refused,
      gap: raceDelay + 5 * roundTrip + hiccup,
      because: 'a stream that is held back gives way to polling',
      ends: 'polling',
    },
  },
  {
    name: 'far away',
    does: 'A round trip of 200 ms, with jitter and losses.',
    faults: { delay: 100, jitter: 50, loss: 0.02 },
    during: ({ exchange }) => exchange(150),
    limits: {
      ...allowed,
      first: 3 * 300 + 400,
      gap: 300 + 2 * 400,
      because: 'what is lost is sent again after 400 ms, and all behind it waits',
      ends: 'websocket',
    },
  },
  {
    name: 'far away, on HTTP',
    does: 'The same, where WebSockets are refused.',
    faults: { upgrade: 403, delay: 100, jitter: 50, loss: 0.02 },
    during: ({ exchange }) => exchange(150),
    limits: {
      ...refused,
      first: 5 * 300 + 2 * 400,
      gap: 2 * 300 + 2 * 400,
      because: 'what is lost is sent again after 400 ms, and all behind it waits',
    },
  },
  ...(['page', 'redirect'] as const).map(
    (captive): Network => ({
      name: `captive portal: ${captive}`,
      does: `Cuts everything, and answers all requests with a ${captive} for three seconds.`,
      during: forSeconds(
        3,
        (net) => net.set({ captive }).cut(),
        (net) => net.set({ captive: false }).cut(),
      ),
      limits: away(3),
    }),
  ),
  {
    name: 'all at once',
    stopsWebSocket: true,
    does: 'Cuts WebSockets and answers, loses, repeats and refuses requests, far away.',
    faults: {
      delay: 50,
      jitter: 25,
      loss: 0.01,
      cutWebSockets: [500, 2000],
      answerLimit: 3000,
      loseAnswers: 0.05,
      repeatPosts: 0.1,
      errorPages: 0.1,
      overtake: [0.1, 200],
    },
    during: ({ exchange }) => exchange(250),
    limits: {
      ...allowed,
      first: 5000,
      gap: 5000,
      because: 'faults that come together make pauses between tries grow',
    },
  },
]
