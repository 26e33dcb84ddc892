/** What stands in the way of WebSockets: real proxies as they stand before real servers, and what refuses, swallows and cuts. */
import type { ProxySetup } from '../../support/proxies.ts'
import type { Network, Scene } from '../network.ts'
import { allowed, hiccup, overdue, raceDelay, refused, roundTrip, swallowed } from './limits.ts'

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
export async function withPauses({ exchange, silence }: Scene): Promise<void> {
  await exchange(40)
  await silence(3000)
  await exchange(40)
  await silence(3000)
  await exchange(40)
}

/**
 * They talk, and are silent until polling carries it, for three seconds at most: a busy stream pushes what is held back along,
 * and is only found out when nothing more comes behind it. Should all have gone through, they do it again.
 */
export async function untilPolling({ server, exchange, silence, lasting }: Scene): Promise<void> {
  let reached = false
  const polling = server.movedTo('polling').then(() => {
    reached = true
  })
  for (let i = 0; i < 3 && !reached; i++) {
    await exchange(i === 0 ? 150 : 20)
    await silence(Promise.race([polling, lasting(3000)]))
  }
  await exchange(20)
}

export const inTheWay: readonly Network[] = [
  {
    name: 'open',
    does: 'Nothing.',
    limits: { ...allowed, ends: 'websocket' },
  },
  {
    name: 'nginx, plain',
    does: 'A plain `proxy_pass`: HTTP/1.0 to the server, no upgrade, answers buffered.',
    proxy: nginx(''),
    limits: { ...refused, because: 'the server asks nginx not to hold its streams back' },
  },
  {
    name: 'nginx, buffering',
    does: 'A plain `proxy_pass` that collects answers, whatever the server asks for (`proxy_ignore_headers`).',
    proxy: nginx('proxy_ignore_headers X-Accel-Buffering;'),
    during: untilPolling,
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip,
      because: 'a stream that is held back gives way to polling',
      ends: 'polling',
    },
  },
  {
    name: 'nginx for WebSocket',
    does: 'Set up as its manual says.',
    proxy: nginx(upgrading),
    limits: { ...allowed, ends: 'websocket' },
  },
  {
    name: 'nginx, 2 s',
    does: 'Set up for WebSocket, and cuts what is silent for two seconds (`proxy_read_timeout`).',
    proxy: nginx(`${upgrading} proxy_read_timeout 2s;`),
    during: withPauses,
    longer: 6,
    limits: { ...allowed, because: 'what was cut is made anew before anybody talks' },
  },
  {
    name: 'nginx, plain, 2 s',
    does: 'A plain `proxy_pass` that gives up answers which are silent for two seconds.',
    proxy: nginx('proxy_read_timeout 2s;'),
    during: withPauses,
    longer: 6,
    limits: { ...refused, because: 'what was cut is asked for again before anybody talks' },
  },
  {
    name: 'haproxy, 2 s',
    does: 'Cuts tunnels and answers which are silent for two seconds.',
    proxy: haproxy(2),
    during: withPauses,
    longer: 6,
    limits: { ...allowed, because: 'what was cut is made anew before anybody talks' },
  },
  ...([403, 400, 502, 'redirect', 'page'] as const).map(
    (upgrade): Network => ({
      name: `WebSocket: ${upgrade}`,
      does: `Answers handshakes with ${typeof upgrade === 'number' ? upgrade : `a ${upgrade}`}.`,
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
  {
    name: 'WebSocket: mute',
    does: 'Lets handshakes through (101), and then nothing.',
    faults: { upgrade: 'mute' },
    limits: swallowed,
  },
  {
    name: 'WebSocket: mute to client',
    does: 'Lets handshakes through (101), and then nothing from the server.',
    faults: { upgrade: 'mute to client' },
    limits: swallowed,
  },
  ...([true, false] as const).map(
    (large): Network => ({
      name: `WebSocket: mute to server${large ? ', large messages' : ''}`,
      does: `Lets handshakes through (101), and then nothing from the client${large ? ', who has large messages' : ''}.`,
      faults: { upgrade: 'mute to server' },
      ...(!large && { talk: { large: 20 } }),
      unnoticed: 45,
      stopsWebSocket: true,
      limits: {
        ...allowed,
        first: overdue + 5 * roundTrip,
        gap: overdue + 5 * roundTrip,
        because:
          'it opens well; what is overdue is the first sign, and the next transport needs what it needs where WebSockets are refused',
      },
    }),
  ),
  {
    name: 'WebSocket cut',
    does: 'Cuts each WebSocket after one to two seconds.',
    faults: { cutWebSockets: [1000, 2000] },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...allowed,
      gap: 3 * roundTrip + hiccup,
      because: 'the next one needs as long as the first',
    },
  },
]
