/** The metrics, and where each takes its values from. docs/MONITORING.md has the same list. */
import type { ClusterStats, ServerStats } from '../server/index.ts'

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  /** Beside `server`. */
  readonly labels: readonly string[]
  /** The values, each with those of its labels. */
  values(stats: ServerStats): Sample[]
}

type Sample = readonly [value: number, ...labels: string[]]

export const families: readonly Family[] = [
  gauge('everwire_sessions', 'Sessions, by state.', ['state'], ({ sessions }) => [
    [sessions.open, 'open'],
    [sessions.resuming, 'resuming'],
    [sessions.closing, 'closing'],
    [sessions.ended, 'ended'],
  ]),
  gauge('everwire_carriers', 'Sessions that are carried, by transport.', ['transport'], ({ sessions }) =>
    each(sessions.carriers),
  ),
  gauge('everwire_plain_clients', 'Clients without a session: ordinary WebSockets.', [], ({ plain }) => [
    [plain.open],
  ]),
  counter(
    'everwire_sessions_opened_total',
    'Sessions opened, by the transport of their first carrier.',
    ['transport'],
    ({ sessions }) => each(sessions.opened),
  ),
  counter(
    'everwire_sessions_resumed_total',
    'Sessions whose client came back after a lost connection, by the transport over which it came.',
    ['transport'],
    ({ sessions }) => each(sessions.resumed),
  ),
  counter(
    'everwire_carriers_moved_total',
    'Carriers that took over from one in use, by the transports of both.',
    ['from', 'to'],
    ({ sessions }) =>
      Object.entries(sessions.moved).flatMap(([from, to]) =>
        each(to).map(([value, transport]): Sample => [value, from, transport]),
      ),
  ),
  counter('everwire_sessions_gone_total', 'Sessions that are gone, by reason.', ['reason'], ({ sessions }) =>
    each(sessions.gone),
  ),
  counter(
    'everwire_sessions_unknown_total',
    'Requests for a session that is not in this process.',
    [],
    ({ sessions }) => [[sessions.unknown]],
  ),
  counter('everwire_plain_clients_opened_total', 'Ordinary WebSockets that were let in.', [], ({ plain }) => [
    [plain.opened],
  ]),
  counter(
    'everwire_plain_clients_gone_total',
    'Ordinary WebSockets that are gone, by reason.',
    ['reason'],
    ({ plain }) => each(plain.gone),
  ),
  counter(
    'everwire_refused_total',
    'Requests and handshakes that were refused, by the status of the answer.',
    ['status'],
    ({ refused }) => each(refused),
  ),
  counter(
    'everwire_messages_total',
    'Messages that the application was given (received) or has sent (sent).',
    ['direction'],
    ({ received, sent }) => [
      [received.messages, 'received'],
      [sent.messages, 'sent'],
    ],
  ),
  counter(
    'everwire_bytes_total',
    'Bytes of the payloads of these messages.',
    ['direction'],
    ({ received, sent }) => [
      [received.bytes, 'received'],
      [sent.bytes, 'sent'],
    ],
  ),
  counter(
    'everwire_replayed_messages_total',
    'Messages that had to be sent once more, because they may have been lost with their carrier.',
    [],
    ({ replayed }) => [[replayed.messages]],
  ),
  counter('everwire_replayed_bytes_total', 'Bytes of the payloads of these messages.', [], ({ replayed }) => [
    [replayed.bytes],
  ]),
  gauge('everwire_waiting_messages', 'Messages to sessions that are not acknowledged.', [], ({ waiting }) => [
    [waiting.messages],
  ]),
  gauge('everwire_waiting_bytes', 'Bytes of the payloads of these messages.', [], ({ waiting }) => [
    [waiting.bytes],
  ]),
  gauge('everwire_memory_bytes', 'Bytes that are buffered for all clients.', [], ({ memory }) => [
    [memory.used],
  ]),
  gauge('everwire_memory_limit_bytes', 'The option maxMemory.', [], ({ memory }) => [[memory.limit]]),
  gauge('everwire_topics', 'Topics with subscribers.', [], ({ topics }) => [[topics.count]]),
  gauge('everwire_subscriptions', 'Subscriptions to topics.', [], ({ topics }) => [[topics.subscriptions]]),
  gauge('everwire_cluster_up', 'Whether the other servers of the cluster can be reached.', [], (stats) =>
    ofCluster(stats, ({ state }) => Number(state === 'up')),
  ),
  gauge('everwire_cluster_nodes', 'Servers in the cluster, as far as this one knows.', [], (stats) =>
    ofCluster(stats, ({ nodes }) => nodes),
  ),
  gauge(
    'everwire_cluster_passing',
    'Requests, streams and WebSockets that are being passed on to other servers.',
    [],
    (stats) => ofCluster(stats, ({ passing }) => passing),
  ),
  counter('everwire_cluster_passed_total', 'Requests that another server has answered.', [], (stats) =>
    ofCluster(stats, ({ passed }) => passed),
  ),
  counter(
    'everwire_cluster_relayed_total',
    'Requests that went through the store, because the other server could not be connected to.',
    [],
    (stats) => ofCluster(stats, ({ relayed }) => relayed),
  ),
  counter(
    'everwire_cluster_sessions_moved_total',
    'Sessions that were handed over to other servers (out) or to this one (in).',
    ['direction'],
    ({ cluster }) =>
      cluster
        ? [
            [cluster.handedOver, 'out'],
            [cluster.received, 'in'],
          ]
        : [],
  ),
  gauge(
    'everwire_cluster_waiting_messages',
    'Publications that the store of the cluster does not have yet.',
    [],
    (stats) => ofCluster(stats, ({ waiting }) => waiting.messages),
  ),
]

function gauge(name: string, help: string, labels: readonly string[], values: Family['values']): Family {
  return { name, help, type: 'gauge', labels, values }
}

function counter(name: string, help: string, labels: readonly string[], values: Family['values']): Family {
  return { name, help, type: 'counter', labels, values }
}

/** Nothing for a server that is alone. */
function ofCluster({ cluster }: ServerStats, value: (cluster: ClusterStats) => number): Sample[] {
  return cluster ? [[value(cluster)]] : []
}

/** A value for each name. */
function each(values: Readonly<Record<string, number>>): [value: number, name: string][] {
  return Object.entries(values).map(([name, value]) => [value, name])
}
