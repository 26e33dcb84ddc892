/**
 * Frames, which carriers move: messages and controls. A control is a kind and a short text; every carrier carries both
 * unchanged. docs/PROTOCOL.md, section 2, has the table of kinds. This file checks the payload of each kind.
 */
import { CloseCode, isWireCode, maxReasonBytes } from './codes.ts'
import { leastMaxBody, maxControl } from './limits.ts'
import { type Message, readEnd } from './message.ts'
import { decodeText, encodeText } from './text.ts'

/** The place of a kind in this list is its number on the wire. */
export const kinds = [
  '',
  'text',
  'binary',
  'close',
  'ping',
  'pong',
  'abort',
  'welcome',
  'hello',
  'ticket',
  'pause',
  'ack',
  'take',
  'hear',
  'long',
  'superseded',
  'token',
] as const
export type Kind = Exclude<(typeof kinds)[number], ''>

export interface Control {
  readonly kind: Exclude<Kind, 'text' | 'binary'>
  readonly payload: string
}

export type Frame = Message | Control

/** A control, a message, or a part of a message, as a carrier has read it: nobody has checked it yet. */
export interface Piece {
  readonly kind: Kind | '' | undefined
  readonly payload: string | Uint8Array
  /** The message goes on in the next record. */
  readonly more?: boolean
}

/** The welcome, which the server says first on every carrier, as JSON. */
export interface Welcome {
  /** The last message that the server has. */
  readonly got: number
  /** The server's messages begin after this one; absent on a carrier that stands by. */
  readonly start?: number
  /** The subprotocol that the server's application chose. */
  readonly protocol: string
  /** The server says something at least this often, in milliseconds. */
  readonly heartbeat: number
  /** How long the server keeps a session without a carrier, in milliseconds. */
  readonly patience: number
  /** The largest request body the server takes, in bytes. */
  readonly maxBody: number
  /** The name of the server that has the session, among several: the client says it in the URL of its exchanges. */
  readonly node?: string | undefined
}

/** A text on a WebSocket that begins with this and a kind is a control. A message that begins with it gets it twice. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: nobody means the global function.
export const escape = '\0'

/** A control as the text that a WebSocket carries. */
export function controlText(kind: Control['kind'], payload: string): string {
  return escape + String.fromCharCode(kinds.indexOf(kind)) + payload
}

function isEnd(payload: string, alsoCode?: number): boolean {
  const { code } = readEnd(payload)
  return (
    /^\d{4},/.test(payload) &&
    (code === alsoCode || isWireCode(code)) &&
    encodeText(payload).length <= 5 + maxReasonBytes
  )
}

export function readWelcome(payload: string): Welcome | undefined {
  try {
    const value = JSON.parse(payload.slice(0, maxControl)) as Welcome
    const { got, start = 0, heartbeat, patience, maxBody, protocol } = value
    const counts = [got, start, heartbeat, patience, maxBody]
    const sane =
      counts.every((one) => Number.isFinite(one) && one >= 0) &&
      maxBody >= leastMaxBody &&
      count.test(`${got}`) &&
      count.test(`${start}`)
    return typeof protocol === 'string' && sane ? value : undefined
  } catch {
    return undefined
  }
}

/** Up to 125 characters, each of which is a byte. */
const beat = /^[\0-\xff]{0,125}$/
const count = /^\d{1,15}$/
const any = /^/

/** The check of the payload, for each kind from `close` on. */
const forms: readonly { test(payload: string): unknown }[] = [
  { test: (payload) => !payload || isEnd(payload) },
  beat,
  beat,
  { test: (payload) => isEnd(payload, CloseCode.lost) },
  { test: readWelcome },
  any,
  any,
  /^[01]$/,
  count,
  /^\d{1,15},\d{1,15}$/,
  count,
  count,
  /^$/,
  any,
]

/** Reads a text that begins with U+0000 and is no message. A text that is too long is cut, so that the check of its payload fails. */
export function readText(text: string): Piece {
  return { kind: kinds[text.charCodeAt(1)], payload: text.slice(2, maxControl) }
}

/** Makes a control of a piece. Undefined for a message, and for a control that is malformed. */
export function readControl({ kind, payload, more }: Piece): Control | undefined {
  const form = forms[kinds.indexOf(kind as Kind) - 3]
  const text = !form || more ? undefined : typeof payload === 'string' ? payload : decodeText(payload)
  return text !== undefined && form?.test(text) ? ({ kind, payload: text } as Control) : undefined
}
