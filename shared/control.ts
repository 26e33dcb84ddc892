/**
 * What a session says over WebSocket beside the application's messages: text that begins with U+0000 and a letter.
 * Application text that begins with U+0000 is sent with one more in front.
 */
import { isWireCode } from './codes.ts'
import { leastMaxBody } from './limits.ts'
import type { Frame } from './link.ts'
import type { Message } from './message.ts'

/** The subprotocol by which a client that speaks of sessions is known; the one after it also carries a request head. */
export const subprotocol = 'everwire.1'
export const subprotocolWithHead: string = `${subprotocol}.`

/** What the server tells at the start of every carrier. */
export interface Welcome {
  /** The last message that the server has. */
  readonly got: number
  /** The server's messages begin after this one; absent on a carrier that stands by. */
  readonly start?: number
  /** The subprotocol that the server's application chose. */
  readonly protocol: string
  /** The server is heard at least this often, in milliseconds. */
  readonly heartbeat: number
  /** How long the server keeps a session without a carrier, in milliseconds. */
  readonly patience: number
  /** The largest request body the server takes, in bytes. */
  readonly maxBody: number
}

export type Control =
  | Exclude<Frame, Message | { kind: 'pause' }>
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  | { readonly kind: 'take'; readonly got: number; readonly start: number }
  | { readonly kind: 'hear'; readonly quiet: number }
  | { readonly kind: 'long'; readonly bytes: number }
  | { readonly kind: 'pause'; readonly paused: boolean }
  | ({ readonly kind: 'welcome' } & Welcome)
  | { readonly kind: 'superseded' }

// biome-ignore lint/suspicious/noShadowRestrictedNames: nobody means the global function.
export const escape = '\0'

/** What either end says, and what only a client does. */
export function encodeControl(
  control: Exclude<Control, { kind: 'welcome' | 'superseded' | 'long' }>,
): string {
  switch (control.kind) {
    case 'ack':
      return `\0a${control.number}`
    case 'ping':
      return `\0p${control.payload}`
    case 'pong':
      return `\0q${control.payload}`
    case 'close':
      return control.code === 1005 ? '\0c' : `\0c${control.code},${control.reason}`
    case 'abort':
      return `\0x${control.code},${control.reason}`
    case 'take':
      return `\0t${control.got},${control.start}`
    case 'hear':
      return `\0h${control.quiet}`
    case 'pause':
      return `\0z${+control.paused}`
  }
}

/** What either end says, and what only a server does. Undefined for what no end of ours would have sent.
 * The text begins with U+0000 and is not an escaped message. */
export function decodeControl(text: string): Control | undefined {
  const letter = text[1]
  const rest = text.slice(2)
  if (letter === 'p' || letter === 'q') {
    return rest.length > 125 ? undefined : { kind: letter === 'p' ? 'ping' : 'pong', payload: rest }
  }
  if (letter === 'w') {
    const welcome = readWelcome(rest)
    return welcome && { ...welcome, kind: 'welcome' }
  }
  if (letter === 's' && !rest) return { kind: 'superseded' }
  if (letter === 'c' && !rest) return { kind: 'close', code: 1005, reason: '' }
  const [, digits, reason] = /^(\d{1,15})(?:,(.*))?$/s.exec(rest) ?? []
  if (digits === undefined) return undefined
  const number = Number(digits)
  if (reason === undefined) {
    if (letter === 'a') return { kind: 'ack', number }
    if (letter === 'z') return { kind: 'pause', paused: number > 0 }
    return letter === 'l' ? { kind: 'long', bytes: number } : undefined
  }
  if (letter === 'x' && (isWireCode(number) || number === 1006))
    return { kind: 'abort', code: number, reason }
  return letter === 'c' && isWireCode(number) ? { kind: 'close', code: number, reason } : undefined
}

export function readWelcome(text: string): Welcome | undefined {
  try {
    const value = JSON.parse(text) as Welcome
    const { got, start = 0, heartbeat, patience, maxBody, protocol } = value
    const counts = [got, start, heartbeat, patience, maxBody]
    const sane = counts.every((one) => Number.isFinite(one) && one >= 0) && maxBody >= leastMaxBody
    return typeof protocol === 'string' && sane ? value : undefined
  } catch {
    return undefined
  }
}
