/** Controls as tests speak of them: with the numbers that stand in their payloads. */
import {
  type Control as Bare,
  controlText,
  type Piece,
  readControl,
  readText,
  readWelcome,
  type Welcome,
} from '../../shared/frame.ts'
import { endPayload, readEnd } from '../../shared/message.ts'

export type Control =
  | { readonly kind: 'ack'; readonly number: number }
  | { readonly kind: 'ping'; readonly payload: string }
  | { readonly kind: 'pong'; readonly payload: string }
  | { readonly kind: 'hello'; readonly payload: string }
  | { readonly kind: 'ticket'; readonly payload: string }
  | { readonly kind: 'token'; readonly payload: string }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  | { readonly kind: 'abort'; readonly code: number; readonly reason: string }
  | { readonly kind: 'take'; readonly got: number; readonly start: number }
  | { readonly kind: 'hear'; readonly quiet: number }
  | { readonly kind: 'long'; readonly bytes: number }
  | { readonly kind: 'pause'; readonly paused: boolean }
  | ({ readonly kind: 'welcome' } & Welcome)
  | { readonly kind: 'superseded' }

function payloadOf(control: Control): string {
  switch (control.kind) {
    case 'ack':
      return `${control.number}`
    case 'close':
    case 'abort':
      return endPayload(control.code, control.reason)
    case 'take':
      return `${control.got},${control.start}`
    case 'hear':
      return `${control.quiet}`
    case 'long':
      return `${control.bytes}`
    case 'pause':
      return control.paused ? '1' : '0'
    case 'superseded':
      return ''
    case 'welcome': {
      const { kind, ...welcome } = control
      return JSON.stringify(welcome)
    }
    default:
      return control.payload
  }
}

/** What this says to whoever reads it; undefined if it is malformed, or no control. */
function understand(piece: Piece): Control | undefined {
  const control = readControl(piece)
  return control && meaningOf(control)
}

function meaningOf({ kind, payload }: Bare): Control {
  const [first = 0, second = 0] = payload.split(',').map(Number)
  switch (kind) {
    case 'ack':
      return { kind, number: first }
    case 'close':
    case 'abort':
      return { kind, ...readEnd(payload) }
    case 'take':
      return { kind, got: first, start: second }
    case 'hear':
      return { kind, quiet: first }
    case 'long':
      return { kind, bytes: first }
    case 'pause':
      return { kind, paused: first > 0 }
    case 'superseded':
      return { kind }
    case 'welcome':
      return { ...(readWelcome(payload) as Welcome), kind }
    default:
      return { kind, payload }
  }
}

/** A control as the text that a WebSocket carries. */
export function encodeControl(control: Control): string {
  return controlText(control.kind, payloadOf(control))
}

/** The text begins with U+0000 and is no message. */
export function decodeControl(text: string): Control | undefined {
  return understand(readText(text))
}
