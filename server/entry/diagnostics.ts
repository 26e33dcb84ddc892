/**
 * Answers the probes of `everwire doctor`: whether each kind of request gets through in both directions, for how long and
 * how large. A probe makes no session, the application sees no connection, and its resources are limited.
 * docs/PROTOCOL.md, section 8.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ByteWriter } from '../../shared/bytes.ts'
import {
  Ask,
  probeMark,
  type RequestHead,
  Status,
  writeAnswerHead,
  writeRecord,
} from '../../shared/exchange.ts'
import { controlText, readControl } from '../../shared/frame.ts'
import { encodeText } from '../../shared/text.ts'
import { addressOf, countedAs } from '../admission/address.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import { idOf } from '../admission/registry.ts'
import type { RequestBody } from '../base/body.ts'
import { closing, type Refusal } from '../base/handshake.ts'
import { isOver, needsDrain, writeHead, writeOn } from '../base/responses.ts'
import { now } from '../base/wakeups.ts'
import { pieceOf, type Wire } from '../base/wire.ts'
import { eventStreamHeaders, finish, streamHeaders } from '../carriers/answers.ts'

/** No probe is held for longer than this. */
const longest = 60_000
/** The number of probes that are held at a time. */
const maxHeld = 256
/** The number for one address: more than two doctors need. */
const maxHeldPerAddress = 16
/** The interval between the pieces of a stream. */
const pieceEvery = 250
/** A WebSocket with more pings than this is no probe. */
const maxPings = 1_000

/** The largest message on a probe's WebSocket. */
export const maxProbeMessage = 256

type Asked = 'held' | 'stream' | 'sse'

type Asking = Pick<ResolvedOptions, 'diagnostics' | 'heartbeat' | 'patience' | 'maxBody' | 'trustProxy'>

export class Diagnostics {
  readonly #options: Asking
  /** For each held probe the function that ends it, and its address. */
  readonly #held = new Map<() => void, string>()
  /** The number of pings that came over the WebSocket of a probe's id. The prober asks for it over HTTP. */
  readonly #pings = new Map<string, number>()
  #closed = false

  constructor(options: Asking) {
    this.#options = options
  }

  /** Whether the request is a probe and probes are answered. Otherwise it counts as one of an unknown session. */
  takes(head: RequestHead): boolean {
    return (head.ask & Ask.probe) !== 0 && this.#options.diagnostics
  }

  /** Answers a probe over HTTP. The answer tells how many bytes of the body arrived. */
  exchange(body: RequestBody, response: ServerResponse): Refusal | undefined {
    const { ask, life } = body.head
    const to = this.#begin(body.size, this.#pings.get(idOf(body.head)) ?? 0)
    for (const record of body.records()) {
      if (record.kind !== 'ping') continue
      if (readControl(record)) writeRecord(to, 'pong', record.payload)
      break
    }
    if ((ask & Ask.hold) !== 0)
      return this.#hold(response, (ask & Ask.stream) !== 0 ? 'stream' : 'held', life, to)
    finish(response, to)
    return undefined
  }

  /** Answers a GET that asks for a probe's event stream. Undefined if it does not ask for one. */
  eventStream(mark: string, response: ServerResponse): 'taken' | Refusal | undefined {
    if (!mark.startsWith(probeMark) || !this.#options.diagnostics) return undefined
    const time = Number.parseInt(mark.slice(probeMark.length), 10) || 0
    return this.#hold(response, 'sse', time, this.#begin(0, 0)) ?? 'taken'
  }

  /** The function that serves a probe's WebSocket once it is open, or a refusal. */
  webSocket(head: RequestHead, request: IncomingMessage): ((webSocket: Wire) => void) | Refusal {
    const address = this.#addressOf(request)
    return (
      this.#refusal(address) ?? ((webSocket) => this.#converse(webSocket, address, idOf(head), head.life))
    )
  }

  /** Ends all held probes, because the server is closing. */
  close(): void {
    this.#closed = true
    for (const end of [...this.#held.keys()]) end()
  }

  #addressOf(request: IncomingMessage): string {
    return countedAs(addressOf(request, this.#options))
  }

  #refusal(address: string): Refusal | undefined {
    if (this.#closed) return closing
    const there = [...this.#held.values()].filter((one) => one === address).length
    if (this.#held.size < maxHeld && there < maxHeldPerAddress) return undefined
    return { status: 503, reason: 'Too many probes at a time' }
  }

  #hold(response: ServerResponse, asked: Asked, time: number, first: ByteWriter): Refusal | undefined {
    const address = this.#addressOf(response.req)
    const refusal = this.#refusal(address)
    if (refusal) return refusal
    // Do not hold an answer for which nobody waits.
    if (isOver(response)) return undefined
    const begun = now()
    let pieces: NodeJS.Timeout | undefined
    const end = (): void => {
      if (asked === 'held') finish(response, first)
      else response.end()
      release()
    }
    const timer = setTimeout(end, Math.min(time, longest))
    const release = (): void => {
      clearTimeout(timer)
      clearInterval(pieces)
      this.#held.delete(end)
    }
    this.#held.set(end, address)
    response.on('close', release)
    if (asked === 'held') return undefined
    writeHead(response, 200, asked === 'sse' ? eventStreamHeaders : streamHeaders)
    write(response, asked, first)
    pieces = setInterval(() => {
      // Keep nothing for a client that does not read.
      if (needsDrain(response)) return
      const to = new ByteWriter(16)
      writeRecord(to, 'ping', encodeText(String(now() - begun)))
      write(response, asked, to)
    }, pieceEvery)
    return undefined
  }

  #converse(webSocket: Wire, address: string, id: string, time: number): void {
    let pings = 0
    this.#pings.set(id, pings)
    const end = (): void => webSocket.close(this.#closed ? 1001 : 1000)
    const timer = setTimeout(end, Math.min(time, longest))
    this.#held.set(end, address)
    const released = (): void => {
      clearTimeout(timer)
      this.#held.delete(end)
      this.#pings.delete(id)
    }
    webSocket.handler = {
      messaged: (data, binary) => {
        const control = binary || data[0] !== 0 ? undefined : readControl(pieceOf(data))
        if (control?.kind !== 'ping' || ++pings > maxPings) {
          webSocket.close(1008)
          return
        }
        this.#pings.set(id, pings)
        webSocket.send(controlText('pong', control.payload))
      },
      closed: released,
      faulty: () => {},
      growing: () => {},
    }
    webSocket.send(controlText('welcome', JSON.stringify(this.#welcome(0))))
  }

  #begin(size: number, pings: number): ByteWriter {
    const to = new ByteWriter(256)
    const has = { number: pings, offset: 0 }
    writeAnswerHead(to, { status: Status.ok, has, at: { number: 0, offset: 0 } })
    writeRecord(to, 'welcome', encodeText(JSON.stringify(this.#welcome(size))))
    return to
  }

  #welcome(got: number): {
    got: number
    protocol: string
    heartbeat: number
    patience: number
    maxBody: number
  } {
    const { heartbeat, patience, maxBody } = this.#options
    return { got, protocol: '', heartbeat, patience, maxBody }
  }
}

function write(response: ServerResponse, asked: Asked, to: ByteWriter): void {
  const whole = Buffer.from(to.whole())
  writeOn(response, asked === 'sse' ? `data: ${whole.toString('base64')}\n\n` : whole)
}
