/** Draws conclusions: who answers, what a client will do here, and how to repair the rest. */
import type { Transport } from '../client/base/types.ts'
import { defaultHeartbeat, defaultPiece } from '../shared/limits.ts'
import { isUntrusted, looksLikePortal } from './hindrance.ts'
import type { HttpResult } from './http-probe.ts'
import {
  type BodyReport,
  type Hindrance,
  inProse,
  type Plan,
  type ServerReport,
  size,
  type TransportReport,
  time,
  transports,
} from './report.ts'
import type { SocketResult } from './socket-probe.ts'

export interface Findings {
  readonly url: string
  readonly server: ServerReport
  readonly transports: Readonly<Record<TransportReport['transport'], TransportReport>>
  readonly bodies: BodyReport | undefined
  /** The answer to an ordinary GET of the same address. */
  readonly ordinary: Hindrance | undefined
}

const unconnected: readonly Hindrance['cause'][] = [
  'dns',
  'refused',
  'unreachable',
  'tls',
  'timeout',
  'reset',
  'hidden',
]

export function serverReport(knocked: HttpResult, socket: SocketResult): ServerReport {
  const welcome = knocked.welcome ?? socket.welcome
  const { hindrance } = knocked
  if (welcome) {
    const { heartbeat, patience, maxBody } = welcome
    const says = `an everwire server: heartbeat ${time(heartbeat)}, patience ${time(patience)}, bodies up to ${size(maxBody)}`
    return { kind: 'everwire', diagnostics: true, says, heartbeat, patience, maxBody }
  }
  if (knocked.ours || socket.unknown) {
    const says = 'an everwire server that does not answer probes (its option "diagnostics" is false)'
    return { kind: 'everwire', diagnostics: false, says }
  }
  const base = { diagnostics: false, ...(hindrance && { hindrance }) }
  if (socket.opened !== undefined) {
    const also = hindrance ? `; an HTTP request gets ${hindrance.says}` : ''
    return { ...base, kind: 'websocket', says: `a WebSocket server, but not an everwire server${also}` }
  }
  if (!hindrance) return { ...base, kind: 'nobody', says: 'no server answers' }
  if (unconnected.includes(hindrance.cause))
    return { ...base, kind: 'nobody', says: `no server answers: ${hindrance.says}` }
  return { ...base, kind: 'other', says: `not an everwire server: ${hindrance.says}` }
}

export function plan({ server, transports: found, bodies }: Findings): Plan {
  const usable = transports.filter((name) => found[name].usable)
  const [starts = null, ...fallsBackTo] = usable
  if (server.kind !== 'everwire' || starts === null) {
    const says =
      server.kind === 'everwire' ? 'It cannot connect from here.' : 'There is nothing to connect to.'
    return { starts: null, fallsBackTo: [], says: [says] }
  }
  const says = [startsOn(found, starts)]
  if (fallsBackTo.length > 0) {
    const names = fallsBackTo.map((name) => inProse[name]).join(', then ')
    says.push(
      `If this connection is lost, it continues over ${names}, and returns when it can. No message is lost.`,
    )
  } else says.push('There is nothing to fall back to.')
  if (starts !== 'websocket')
    says.push(`It tries ${list(before(starts))} again from time to time, less often after each failure.`)
  const pieces = bodies && piecesOf(bodies, server.maxBody ?? defaultPiece)
  if (pieces !== undefined) says.push(`Over HTTP it sends pieces of up to ${size(pieces)}.`)
  const limits = limitsOf(server, found)
  if (limits.quiet !== undefined)
    says.push(
      `It learns that silent connections are cut, and asks the server to send something every ${time(limits.quiet)}.`,
    )
  if (limits.life !== undefined)
    says.push(`It learns that long answers are cut, and ends its streams after ${time(limits.life)}.`)
  return { starts, fallsBackTo, ...(pieces !== undefined && { pieces }), ...limits, says }
}

function startsOn(found: Findings['transports'], starts: Transport): string {
  const better = before(starts)
  const connects = `it connects over ${inProse[starts]}.`
  if (better.length === 0) return `It connects over ${inProse[starts]}.`
  if (better.every((one) => found[one].outcome === 'refused'))
    return `It tries ${list(better)} first, which ${better.length > 1 ? 'fail' : 'fails'} at once; ${connects}`
  return `It tries ${list(better)} first. If no answer comes soon, it tries the next transport in parallel; ${connects}`
}

const before = (transport: Transport): readonly Transport[] =>
  transports.slice(0, transports.indexOf(transport))

function list(names: readonly Transport[]): string {
  const all = names.map((name) => inProse[name])
  return all.length < 2 ? all.join() : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`
}

/** The client uses three quarters of the time after which connections are cut, and no time that is too short. */
const safe = 0.75
const leastQuiet = 600
const leastLife = 2_000

function limitsOf(
  { heartbeat = defaultHeartbeat }: ServerReport,
  { stream, polling }: Findings['transports'],
): Pick<Plan, 'quiet' | 'life'> {
  const learnt = ({ outcome, cutAfter = 0 }: TransportReport): number =>
    outcome === 'cut' ? Math.floor(cutAfter * safe) : Number.POSITIVE_INFINITY
  const [life, quiet] = [learnt(stream), learnt(polling)]
  // A stream that is cut although it is not silent is cut because of its age.
  if (life < Number.POSITIVE_INFINITY) return life < leastLife ? {} : { life }
  return quiet < heartbeat && quiet >= leastQuiet ? { quiet } : {}
}

/** The client halves its pieces when a body is refused with 413. */
function piecesOf({ arrived, refused }: BodyReport, maxBody: number): number {
  let piece = Math.min(defaultPiece, maxBody)
  while (refused !== undefined && piece > arrived && piece > 1024) piece = Math.floor(piece / 2)
  return piece
}

/** What can be done, the most likely cause first. */
export function advise(findings: Findings): string[] {
  const { server } = findings
  if (server.kind !== 'everwire') return [...aboutStrangers(findings)]
  if (!server.diagnostics)
    return ['To learn the rest, start the server with its option "diagnostics" left at true.']
  return [...aboutSockets(findings), ...aboutHttp(findings), ...aboutBodies(findings)]
}

function* aboutStrangers({ url, server }: Findings): Generator<string> {
  const { hindrance } = server
  if (hindrance === undefined) return
  const { cause, status, location } = hindrance
  const secure = url.replace(/^http:/, 'https:').split('?', 1)[0] as string
  if (cause === 'redirect' && url.startsWith('http:') && location?.startsWith(secure))
    yield 'The same address is served with TLS: use https:// (or wss://).'
  else if (looksLikePortal(hindrance, url))
    yield 'This looks like the sign-in page of the network you are in (a captive portal). Open any page in a browser, sign in, and try again. If you are at home in this network, the address is wrong.'
  else if (cause === 'redirect') yield 'Give the address that the redirect leads to.'
  else if (cause === 'page')
    yield 'A web page answers. Is this the address of the everwire server, with its path, as in https://example.com/realtime?'
  else if (status === 401 || status === 403)
    yield `The server refused the doctor. Send the cookie or token that your page sends: --header 'Cookie: …'.`
  else if (status === 404)
    yield 'No everwire server is at this path. Is it the path at which the middleware is mounted?'
  else if (status === 407) yield 'A proxy requires a login.'
  else if (status !== undefined && status >= 500)
    yield "A proxy answered instead of the server: the server is down, or the proxy's configuration is wrong."
  else if (cause === 'dns') yield 'Check the spelling of the host, and the name server of this network.'
  else if (cause === 'refused') yield 'Is the server running, and on this port?'
  else if (cause === 'tls' && isUntrusted(hindrance))
    yield 'If you use your own certificate authority, set NODE_EXTRA_CA_CERTS to its certificate.'
  else if (cause === 'tls') yield 'Does this port use https:// or http://?'
  else if (cause === 'timeout') yield 'A firewall drops the packets, or the host is down.'
  else if (cause === 'reset') yield 'A firewall cuts every connection, or the server is overloaded.'
  else if (cause === 'hidden')
    yield 'A browser does not tell the reason. Run `npx everwire doctor` in a shell on the same network to learn it.'
  else yield 'Is this the address of the everwire server, with its path, as in https://example.com/realtime?'
}

function* aboutSockets({ transports: { websocket }, ordinary }: Findings): Generator<string> {
  const { outcome, hindrance, cutAfter = 0 } = websocket
  if (outcome === 'refused' && hindrance?.status !== undefined && ordinary?.status === hindrance.status)
    yield 'A proxy removes the Upgrade header from WebSocket handshakes, so the server answers them as ordinary requests. In nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
  else if (outcome === 'refused' && hindrance?.cause === 'hidden')
    yield 'WebSockets do not open here, and a browser does not say why. The client uses other transports.'
  else if (outcome === 'refused')
    yield `A proxy or firewall refuses WebSockets (${hindrance?.says ?? websocket.says}). The client uses other transports.`
  else if (outcome === 'swallowed')
    yield 'A firewall or proxy does not answer WebSocket handshakes. The client loses a moment at the start.'
  else if (outcome === 'silent' || outcome === 'one way')
    yield 'A proxy lets the handshake of a WebSocket pass, but not the data after it. The client waits for a first answer before it uses a WebSocket.'
  else if (outcome === 'cut')
    yield `WebSockets are cut after ${time(cutAfter)} here. The client resumes each time and no message is lost. To avoid the cuts, make the proxy's timeout longer (in nginx: proxy_read_timeout). If only silent connections are cut, the client asks the server to send something in time.`
}

function* aboutHttp({ server, transports: { stream, sse, polling } }: Findings): Generator<string> {
  const { heartbeat = defaultHeartbeat } = server
  if (stream.outcome === 'buffered')
    yield `A proxy collects answers before it passes them on, so ${
      sse.outcome === 'buffered' ? 'streams do' : 'streaming does'
    } not work here. In nginx: proxy_buffering off; or do not remove the header X-Accel-Buffering from the answers.`
  else if (sse.outcome === 'buffered') yield 'A proxy collects event streams before it passes them on.'
  const cut = [stream, sse, polling].filter(({ outcome }) => outcome === 'cut')
  const first = Math.min(...cut.map(({ cutAfter = 0 }) => cutAfter))
  if (cut.length > 0 && first < heartbeat) {
    const what =
      stream.outcome === 'works'
        ? `A proxy cuts every answer that is silent for ${time(first)}, also streams`
        : `A proxy cuts answers after ${time(first)} (${list(cut.map(({ transport }) => transport))})`
    yield `${what}. The client still works, with more requests and traffic. To avoid this, set the proxy's read timeout above the server's heartbeat of ${time(heartbeat)} (in nginx: proxy_read_timeout).`
  }
  if (!polling.usable && polling.hindrance) yield `Ordinary requests do not get through: ${polling.says}.`
}

function* aboutBodies({ server, bodies }: Findings): Generator<string> {
  if (bodies?.refused === undefined) return
  const { maxBody = 0 } = server
  if (bodies.hindrance?.status === 413)
    yield `A proxy refuses bodies of ${size(bodies.refused)}, though the server takes ${size(maxBody)}. The client makes its pieces smaller. In nginx: client_max_body_size.`
  else
    yield `Bodies of ${size(bodies.refused)} do not arrive: ${bodies.hindrance?.says ?? 'only a part arrived'}. The client makes its pieces smaller once a large one has failed.`
}
