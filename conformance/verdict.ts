/** How a rule says that a server does something else than it should. */

/** The server did something else than the rule says. */
export class Deviation extends Error {
  readonly expected: string
  readonly came: string

  constructor(expected: string, came: string) {
    super(`expected ${expected}; came ${came}`)
    this.expected = expected
    this.came = came
  }
}

/** This rule cannot be seen at this server: its settings hide it. */
export class LeftOut extends Error {}

export function expect(ok: boolean, expected: string, came: unknown): asserts ok {
  if (!ok) throw new Deviation(expected, typeof came === 'string' ? came : show(came))
}

export function equal(came: unknown, wanted: unknown, what: string): void {
  const [left, right] = [show(came), show(wanted)]
  expect(left === right, `${what}: ${right}`, left)
}

const longest = 200

/** Any value as one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(cut(value))
  if (value instanceof Uint8Array) return bytes(value)
  return cut(
    JSON.stringify(value, (_, inner) => (isBytes(inner) ? bytes(Uint8Array.from(inner.data)) : inner)) ??
      String(value),
  )
}

/** JSON has already asked a Buffer what it wants to be. */
function isBytes(value: unknown): value is { readonly data: readonly number[] } {
  return (value as { type?: unknown } | null)?.type === 'Buffer'
}

function bytes(value: Uint8Array): string {
  const first = Buffer.from(value.subarray(0, 16)).toString('hex')
  return `${value.length} bytes ${first}${value.length > 16 ? '...' : ''}`
}

function cut(text: string): string {
  return text.length > longest ? `${text.slice(0, longest)}... (${text.length} characters)` : text
}
