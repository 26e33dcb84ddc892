/** The controls of `control.ts` and those that only a server says or hears, so that no browser loads them. */
import { type Control, decodeControl, encodeControl } from './control.ts'

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
  if (text[1] !== 't') return decodeControl(text)
  const [, got, start] = /^(\d{1,15}),(\d{1,15})$/.exec(text.slice(2)) ?? []
  return got && start ? { kind: 'take', got: Number(got), start: Number(start) } : undefined
}
