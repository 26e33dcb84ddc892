/** The clients of a server written down, so that another server of the cluster can tell who is there. */
import { deserialize, serialize } from 'node:v8'
import type { Transport } from './carrier.ts'
import { type Socket, shownFor } from './socket.ts'

/** A client of any server of the cluster, as it was when it was asked for. */
export interface ClusterClient {
  /** `socket.id` on its server. */
  readonly id: string
  /** The name of its server; empty without the option `cluster`. */
  readonly node: string
  /** When it came to this server, in milliseconds since 1970. */
  readonly since: number
  /** Whether it is an ordinary WebSocket, without a session. */
  readonly plain: boolean
  /** `socket.protocol`. */
  readonly protocol: string
  /** `socket.transport`: null while it has no connection. */
  readonly transport: Transport | null
  /** The topics that it is subscribed to. */
  readonly topics: readonly string[]
  /** A copy of `socket.data`. */
  readonly data: unknown
  /** `data` is left out: it has what cannot be written down, or is larger than 64 KiB. */
  readonly dataMissing: boolean
}

/** Who is there on all servers of a cluster together. */
export interface ClusterClients {
  /** The clients, in no order that is promised. */
  readonly clients: readonly ClusterClient[]
  /** How many clients are left out, because there are more than `limit`, or more than a server can say. */
  readonly omitted: number
  /** The names of the servers that did not answer within a second. Their clients are not in the list. */
  readonly missing: readonly string[]
}

/** A client as it is written down. Its data are serialised by themselves, so that they can be left out. */
type Line = Omit<ClusterClient, 'node' | 'data' | 'dataMissing'> & { readonly data: Uint8Array | undefined }

/** What one server says of its clients. */
interface Roster {
  readonly lines: readonly Line[]
  readonly omitted: number
}

/** This server does not understand a roster with another number. */
const version = 1
/** Larger data of a client are left out, in bytes. */
const maxData = 64 * 1024
/** The most bytes of a roster. */
const maxRoster = 1024 * 1024
/** About the bytes of a client besides its data and its texts. */
const overhead = 100

/** Writes down the clients that are open, at most so many. */
export function writeRoster(sockets: Iterable<Socket>, limit: number): Uint8Array {
  const lines: Line[] = []
  let bytes = 0
  let omitted = 0
  for (const socket of sockets) {
    if (socket.readyState !== 1) continue
    if (lines.length >= limit || bytes >= maxRoster) {
      omitted++
      continue
    }
    const line = lineOf(socket)
    const { topics, protocol, data } = line
    bytes +=
      overhead + topics.reduce((sum, { length }) => sum + length, protocol.length + (data?.length ?? 0))
    lines.push(line)
  }
  return serialize([version, { lines, omitted } satisfies Roster])
}

function lineOf(socket: Socket): Line {
  const { id, protocol, transport, topics, data, diary } = shownFor(socket)
  const first = diary.find((entry) => entry.type === 'carrier')
  return {
    id,
    since: first?.at ?? 0,
    plain: first?.epoch === 0,
    protocol,
    transport,
    topics: [...topics],
    data: written(data),
  }
}

function written(data: unknown): Uint8Array | undefined {
  try {
    const bytes = serialize(data)
    return bytes.length > maxData ? undefined : bytes
  } catch {
    return undefined
  }
}

/** The clients of all servers in one list. A server whose roster cannot be read counts as missing. */
export function joinRosters(
  rosters: readonly { readonly node: string; readonly written: Uint8Array }[],
  limit: number,
  missing: readonly string[],
): ClusterClients {
  const unread: string[] = []
  const clients: ClusterClient[] = []
  let omitted = 0
  for (const { node, written } of rosters) {
    const roster = readRoster(node, written)
    if (roster) {
      clients.push(...roster.clients)
      omitted += roster.omitted
    } else unread.push(node)
  }
  const most = clients.slice(0, limit)
  return { clients: most, omitted: omitted + clients.length - most.length, missing: [...missing, ...unread] }
}

/** Undefined if a newer server, or a newer V8, has written it. */
function readRoster(
  node: string,
  bytes: Uint8Array,
): Pick<ClusterClients, 'clients' | 'omitted'> | undefined {
  try {
    const [by, { lines, omitted }] = deserialize(bytes) as [number, Roster]
    if (by !== version) return undefined
    const clients = lines.map(({ data, ...line }) => ({
      ...line,
      node,
      data: data && (deserialize(data) as unknown),
      dataMissing: data === undefined,
    }))
    return { clients, omitted }
  } catch {
    return undefined
  }
}
