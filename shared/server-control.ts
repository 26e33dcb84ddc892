/** The controls of `control.ts` and those that only a server says or hears, so that no browser loads them. */
import { maxReasonBytes } from './codes.ts'
import { type Control, decodeControl, encodeControl } from './control.ts'
import { encodeText } from './text.ts'

export function encodeServerControl(control: Control): string {
  if (control.kind === 'superseded') return '\0s'
  if (control.kind === 'long') return `\0l${control.bytes}`
  if (control.kind !== 'welcome') return encodeControl(control)
  const { kind, ...welcome } = control
  return `\0w${JSON.stringify(welcome)}`
}

export function decodeServerControl(text: string): Control | undefined {
  if (text[1] === 'h') {
    const [, quiet] = /^(\d{1,15})$/.exec(text.slice(2)) ?? []
    return quiet ? { kind: 'hear', quiet: Number(quiet) } : undefined
  }
  if (text[1] === 'l') return undefined
  if (text[1] !== 't') return within(decodeControl(text))
  const [, got, start] = /^(\d{1,15}),(\d{1,15})$/.exec(text.slice(2)) ?? []
  return got && start ? { kind: 'take', got: Number(got), start: Number(start) } : undefined
}

/** The control, unless its words are such as no other carrier could repeat. */
function within(control: Control | undefined): Control | undefined {
  if (control?.kind === 'ping' || control?.kind === 'pong')
    return isPayload(control.payload) ? control : undefined
  const isEnd = control?.kind === 'close' || control?.kind === 'abort'
  return isEnd && encodeText(control.reason).length > maxReasonBytes ? undefined : control
}

/** What a ping or a pong may bring: at most 125 characters, each of which is a byte. */
export function isPayload(text: string | undefined): text is string {
  return text !== undefined && text.length <= 125 && !beyondBytes.test(text)
}

/** Characters that are no bytes. */
const beyondBytes = /[\u0100-\uffff]/
