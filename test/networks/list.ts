/**
 * The networks everwire is sent through, one by one, in tests and by `npm run networks`. A round trip takes 50 ms, so over a
 * plain WebSocket the first answer is there after three of them: for the connection, the handshake and the message.
 */
import type { Network, NetworkLimits, ProxySetup, Scene } from './network.ts'

/** Half of it each way. */
const roundTrip = 50
/** Real proxies take messages apart and put them together; a busy machine adds to that. */
const hiccup = 250
const raceDelay = 300
/** A silent loss shows by an answer that is overdue: the last acknowledgement may wait for 250 ms, the next is due after a second. */
const overdue = 1250

const allowed: NetworkLimits = {
  first: 3 * roundTrip,
  gap: hiccup,
  because: 'nothing stands in the way',
  transports: ['websocket'],
}
/** That WebSockets are refused is known after one round trip more, and the next transport has a connection of its own. */
const refused: NetworkLimits = {
  first: 5 * roundTrip,
  gap: hiccup,
  because: 'the next transport begins where the first was refused',
  transports: ['stream'],
}
/** What was to be WebSocket is not answered: the next begins beside it. */
const swallowed: NetworkLimits = {
  first: raceDelay + 3 * roundTrip,
  gap: hiccup,
  because: 'the next transport begins beside the one that hangs',
  transports: ['stream'],
}

/** As in the manual of nginx; and the server has to know the page's host to know its pages. */
const upgrading = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade; proxy_set_header Host $http_host;`

function nginx(location: string): ProxySetup {
  const config = `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:TARGET; ${location} } }`
  return { program: 'nginx', config }
}

function haproxy(seconds: number): ProxySetup {
  const config = `defaults
  mode http
  timeout connect 1s
  timeout client ${seconds}s
  timeout server ${seconds}s
  timeout tunnel ${seconds}s
frontend all
  bind 127.0.0.1:PORT
  default_backend application
backend application
  server one 127.0.0.1:TARGET`
  return { program: 'haproxy', config }
}

/** They talk, both are silent for longer than what stands between them bears, they talk again. */
async function withPauses({ exchange, silence }: Scene): Promise<void> {
  await exchange(40)
  await silence(3000)
  await exchange(40)
  await silence(3000)
  await exchange(40)
}

/** Real programs as they stand before real servers, and what happens to the WebSocket itself. */
export const inTheWay: readonly Network[] = [
  {
    name: 'open',
    does: 'Nothing.',
    limits: allowed,
  },
  {
    name: 'nginx, plain',
    does: 'A plain `proxy_pass`: HTTP/1.0 to the server, no upgrade, answers buffered.',
    proxy: nginx(''),
    limits: {
      ...refused,
      because: 'held back streams give way to polling',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'nginx for WebSocket',
    does: 'Set up as its manual says.',
    proxy: nginx(upgrading),
    limits: allowed,
  },
  {
    name: 'nginx, 2 s',
    does: 'Set up for WebSocket, and cuts what is silent for two seconds (`proxy_read_timeout`).',
    proxy: nginx(`${upgrading} proxy_read_timeout 2s;`),
    during: withPauses,
    limits: {
      ...allowed,
      because: 'a lost connection is made anew before anybody talks',
      transports: ['websocket', 'stream'],
    },
  },
  {
    name: 'nginx, plain, 2 s',
    does: 'A plain `proxy_pass` that gives up answers which are silent for two seconds.',
    proxy: nginx('proxy_read_timeout 2s;'),
    during: withPauses,
    limits: {
      ...refused,
      because: 'a held answer that was cut is asked for again',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'haproxy, 2 s',
    does: 'Cuts tunnels and answers which are silent for two seconds.',
    proxy: haproxy(2),
    during: withPauses,
    limits: {
      ...allowed,
      because: 'a lost connection is made anew before anybody talks',
      transports: ['websocket', 'stream'],
    },
  },
  ...([403, 400, 502, 'redirect', 'page'] as const).map(
    (upgrade): Network => ({
      name: `WebSocket: ${upgrade}`,
      does:
        typeof upgrade === 'number'
          ? `Answers handshakes with ${upgrade}.`
          : `Answers handshakes with a ${upgrade === 'page' ? 'web page' : 'redirect'}.`,
      faults: { upgrade },
      limits: refused,
    }),
  ),
  {
    name: 'WebSocket: no answer',
    does: 'Takes handshakes and never answers.',
    faults: { upgrade: 'swallow' },
    limits: swallowed,
  },
  ...(['mute', 'mute to server', 'mute to client'] as const).map(
    (upgrade): Network => ({
      name: `WebSocket: ${upgrade}`,
      does: `Lets handshakes through (101), and then ${
        upgrade === 'mute' ? 'nothing' : `nothing ${upgrade.slice(5)}`
      }.`,
      faults: { upgrade },
      limits:
        upgrade === 'mute to server'
          ? {
              ...swallowed,
              because: 'it opens well; that nothing arrives shows by an acknowledgement that is overdue',
              first: overdue + 4 * roundTrip,
              gap: overdue + 4 * roundTrip,
            }
          : swallowed,
    }),
  ),
  {
    name: 'WebSocket cut',
    does: 'Cuts each WebSocket after one to two seconds.',
    faults: { cutWebSockets: [1000, 2000] },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...allowed,
      gap: hiccup + 2 * roundTrip,
      because: 'the next connection takes two round trips',
      transports: ['websocket', 'stream'],
    },
  },
]

/** WebSockets are refused, and HTTP is not left alone either. */
export const onHttp: readonly Network[] = [
  {
    name: 'buffered',
    does: 'Passes an answer on once it is complete.',
    faults: { upgrade: 403, buffer: true },
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip,
      because: 'a stream that is held back gives way to polling',
      transports: ['polling'],
    },
  },
  {
    name: 'buffered, cut after 2 s',
    does: 'Passes an answer on once it is complete, and gives those up that take two seconds.',
    faults: { upgrade: 403, buffer: true, answerLimit: 2000 },
    during: withPauses,
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip,
      because: 'a stream that is held back gives way to polling; what was cut is asked for again',
      transports: ['polling'],
    },
  },
  {
    name: 'streams cut after 2 s',
    does: 'Cuts every answer after two seconds.',
    faults: { upgrade: 403, answerLimit: 2000 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      gap: hiccup + 2 * roundTrip,
      because: 'the next answer takes a round trip',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'answers lost',
    does: 'Cuts one request in ten after the server has worked on it.',
    faults: { upgrade: 403, loseAnswers: 0.1 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 7 * roundTrip,
      gap: 1000,
      because: 'a failed exchange is made again at once, a second time after 300 ms',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'POSTs repeated',
    does: 'Sends one POST in three to the server twice.',
    faults: { upgrade: 403, repeatPosts: 0.33 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      gap: 500,
      because: 'what is repeated is answered without messages; they come with the next',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'POSTs overtaking',
    does: 'Holds one POST in three back so that the next overtakes it.',
    faults: { upgrade: 403, overtake: [0.33, 200] },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 5 * roundTrip + 400,
      gap: 700,
      because: 'a POST waits for 200 ms at most',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  ...([64, 1024] as const).map(
    (kib): Network => ({
      name: `bodies of ${kib === 64 ? '64 KiB' : '1 MiB'}`,
      does: `Answers larger requests with 413 and a page.`,
      faults: { upgrade: 403, maxBody: kib * 1024 },
      talk: { every: 50, large: 1_500_000 },
      during: ({ exchange }) => exchange(30),
      limits: {
        ...refused,
        gap: 1500,
        because: 'a message of 1.5 MB goes in pieces of at most 64 KiB, each with its round trip',
        transports: ['stream'],
      },
    }),
  ),
  {
    name: 'stripped',
    does: 'Takes away every header it does not know, and knows nothing but GET and POST.',
    faults: { upgrade: 403, strip: true },
    limits: refused,
  },
  {
    name: 'gzip',
    does: 'Compresses answers.',
    faults: { upgrade: 403, gzip: true },
    limits: refused,
  },
  {
    name: 'error pages',
    does: 'Answers one request in five with an error page of its own.',
    faults: { upgrade: 403, errorPages: 0.2 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 5 * roundTrip + 1000,
      gap: 1000,
      because: 'a failed exchange is made again at once, a second time after 300 ms',
      transports: ['stream', 'sse', 'polling'],
    },
  },
]

/** What changes while both ends talk. */
export const changing: readonly Network[] = [
  {
    name: 'another network',
    does: 'All that is open falls silent; new connections work.',
    during: async ({ net, exchange }) => {
      await exchange(50)
      net.silence()
      await exchange(50)
    },
    limits: {
      ...allowed,
      gap: overdue + 4 * roundTrip,
      because: 'what is overdue is asked for, and its answer has a round trip; then one more',
    },
  },
  {
    name: 'another network, on HTTP',
    does: 'The same, where WebSockets are refused.',
    faults: { upgrade: 403 },
    during: async ({ net, exchange }) => {
      await exchange(50)
      net.silence()
      await exchange(50)
    },
    limits: {
      ...refused,
      gap: overdue + 4 * roundTrip,
      because: 'what is overdue is asked for, and its answer has a round trip; then one more',
      transports: ['stream', 'sse', 'polling'],
    },
  },
  {
    name: 'no network for 10 s',
    does: 'All that is open falls silent, and nothing new is answered for ten seconds.',
    during: async ({ net, exchange, lasting }) => {
      await exchange(50)
      net.set({ connections: 'swallow' }).silence()
      await lasting(10_000)
      net.set({ connections: 'pass' })
      net.silence()
      await exchange(50)
    },
    limits: {
      ...allowed,
      gap: 10_000 + 5000,
      because: 'after ten seconds without, pauses between tries are up to five',
      transports: ['websocket', 'stream', 'sse', 'polling'],
    },
  },
  {
    name: 'refused for 10 s',
    does: 'Everything is cut, and every new connection too, for ten seconds.',
    during: async ({ net, exchange, lasting }) => {
      await exchange(50)
      net.set({ connections: 'refuse' }).cut()
      await lasting(10_000)
      net.set({ connections: 'pass' })
      await exchange(50)
    },
    limits: {
      ...allowed,
      gap: 10_000 + 5000,
      because: 'after ten seconds without, pauses between tries are up to five',
      transports: ['websocket', 'stream', 'sse', 'polling'],
    },
  },
  {
    name: 'WebSocket, not, and again',
    does: 'Lets WebSockets through, then cuts and refuses them, then lets them through.',
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
      gap: 3 * roundTrip + hiccup,
      because: 'the connection is lost once; one more round trip shows that the next must be another',
    },
  },
  {
    name: 'WebSocket from now on',
    does: 'Refuses WebSockets at first.',
    faults: { upgrade: 403 },
    during: async ({ net, client, exchange }) => {
      await exchange(50)
      net.set({ upgrade: 'pass' })
      await client.carriedBy('websocket')
      await exchange(50)
    },
    limits: { ...refused, gap: 100, because: 'a planned switch is no gap', transports: ['websocket'] },
  },
  {
    name: 'far away',
    does: 'A round trip of 200 ms, with jitter and losses.',
    faults: { delay: 100, jitter: 50, loss: 0.02 },
    during: ({ exchange }) => exchange(150),
    limits: {
      ...allowed,
      first: 3 * 300 + 400,
      gap: 1500,
      because: 'what is lost is sent again after 400 ms, and all behind it waits',
      transports: ['websocket', 'stream'],
    },
  },
  {
    name: 'far away, on HTTP',
    does: 'The same, where WebSockets are refused.',
    faults: { upgrade: 403, delay: 100, jitter: 50, loss: 0.02 },
    during: ({ exchange }) => exchange(150),
    limits: {
      ...refused,
      first: 5 * 300 + 400,
      gap: 2500,
      because: 'what is lost is sent again after 400 ms, and all behind it waits',
      transports: ['stream'],
    },
  },
  ...(['page', 'redirect'] as const).map(
    (captive): Network => ({
      name: `captive portal: ${captive}`,
      does: `Cuts everything and answers all requests with ${captive === 'page' ? 'a login page' : 'a redirect to a login page'} for three seconds.`,
      during: async ({ net, exchange, lasting }) => {
        await exchange(50)
        net.set({ captive }).cut()
        await lasting(3000)
        net.set({ captive: false }).cut()
        await exchange(50)
      },
      limits: {
        ...allowed,
        gap: 3000 + 2500,
        because: 'tries go on, with pauses that have grown to two seconds',
        transports: ['websocket', 'stream', 'sse', 'polling'],
      },
    }),
  ),
]
