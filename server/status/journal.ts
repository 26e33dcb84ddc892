/**
 * The clients that have ended, and the sessions that had trouble with their connection, with their diaries: the latest of each.
 * It listens to the server's channels, and keeps nothing that a client or the application sent, except the reasons of closes.
 */
import { type ChannelListener, subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { Transport } from '../sockets/carrier.ts'
import type { ServerCarrierEntry } from '../sockets/carrier-diary.ts'
import type { EndReason } from '../sockets/end-reasons.ts'
import type { ServerChannels } from '../sockets/reports.ts'
import type { Socket } from '../sockets/socket.ts'

const maxEnded = 50
const maxTroubled = 50
/** The latest carriers of one diary. */
const maxCarriers = 16
/** How long after its last trouble a session is still listed. */
const troubledFor = 15 * 60_000

interface Entry {
  /** The id of the socket, as in the application's logs. */
  readonly id: string
  /** Only with the option `statusPage: { addresses: true }`. */
  readonly address?: string | undefined
  /** An ordinary WebSocket. */
  readonly plain: boolean
  readonly carriers: readonly ServerCarrierEntry[]
  /** How many earlier carriers are left out. */
  readonly omitted: number
}

/** A client that is gone. */
export interface EndedEntry extends Entry {
  /** The number of the entry, from 1: a page that gets an entry twice shows it once. */
  readonly n: number
  readonly at: number
  readonly cause: EndReason
  readonly code: number
  readonly reason: string
}

/** A session that lost its connection, or had to move to a lesser transport, and has not ended. */
export interface TroubledEntry extends Entry {
  /** When it last had trouble, and how often it had. */
  readonly at: number
  readonly times: number
  readonly transport: Transport | null
}

interface Trouble {
  at: number
  times: number
}

type Listeners = { [Name in keyof ServerChannels]?: (message: ServerChannels[Name]) => void }

/** Best first. */
const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

export class Journal {
  readonly #server: unknown
  readonly #addressOf: ((request: IncomingMessage) => string) | undefined
  #ended: EndedEntry[] = []
  #count = 0
  /** The session whose trouble is the latest comes last. */
  readonly #troubled = new Map<Socket, Trouble>()
  readonly #addresses = new WeakMap<Socket, string>()
  readonly #listeners: Listeners

  /** `server`: only its clients are entered. `addressOf`: if addresses are wanted. */
  constructor(server: unknown, addressOf?: (request: IncomingMessage) => string) {
    this.#server = server
    this.#addressOf = addressOf
    this.#listeners = {
      'everwire:session.end': ({ socket, ...end }) => this.#end(socket, end),
      'everwire:carrier.end': ({ socket, carrier }) => {
        if (carrier.why !== 'another was taken' && socket.readyState === 1) this.#trouble(socket)
      },
      'everwire:carrier.begin': ({ socket, from, carrier }) => {
        if (from && transports.indexOf(carrier.transport) > transports.indexOf(from)) this.#trouble(socket)
      },
      ...(addressOf && {
        'everwire:session.open': ({ socket, request }: ServerChannels['everwire:session.open']) =>
          void this.#addresses.set(socket, addressOf(request)),
      }),
    }
    for (const name of Object.keys(this.#listeners)) subscribe(name, this.#listen)
  }

  /** Latest first. */
  get ended(): readonly EndedEntry[] {
    return this.#ended
  }

  /** Latest trouble first, with the diaries as they are now. */
  troubled(now: number): TroubledEntry[] {
    const entries: TroubledEntry[] = []
    for (const [socket, { at, times }] of this.#troubled) {
      if (now - at > troubledFor) this.#troubled.delete(socket)
      else entries.push({ ...this.#entryOf(socket, false), at, times, transport: socket.transport })
    }
    return entries.reverse()
  }

  close(): void {
    for (const name of Object.keys(this.#listeners)) unsubscribe(name, this.#listen)
    this.#troubled.clear()
  }

  readonly #listen: ChannelListener = (message, name) => {
    const { server } = message as { server: unknown }
    if (server === this.#server) this.#listeners[name as keyof Listeners]?.(message as never)
  }

  #end(
    socket: Socket,
    { plain, cause, code, reason }: Pick<EndedEntry, 'plain' | 'cause' | 'code' | 'reason'>,
  ) {
    this.#troubled.delete(socket)
    const entry = { ...this.#entryOf(socket, plain), n: ++this.#count, at: Date.now(), cause, code, reason }
    this.#ended = [entry, ...this.#ended.slice(0, maxEnded - 1)]
  }

  #trouble(socket: Socket): void {
    const times = (this.#troubled.get(socket)?.times ?? 0) + 1
    this.#troubled.delete(socket)
    this.#troubled.set(socket, { at: Date.now(), times })
    for (const oldest of this.#troubled.keys()) {
      if (this.#troubled.size <= maxTroubled) return
      this.#troubled.delete(oldest)
    }
  }

  #entryOf(socket: Socket, plain: boolean): Entry {
    const all = socket.diary.filter((entry) => entry.type === 'carrier')
    const carriers = all.slice(-maxCarriers)
    const address = this.#addressOf && this.#addresses.get(socket)
    return { id: socket.id, address, plain, carriers, omitted: all.length - carriers.length }
  }
}
