/**
 * What nodes write into the history of a topic. Bytes: the version, the kind, the number (6), the length of the publisher's name (1),
 * the name, and what the kind says. Numbers are big-endian.
 */

/** What an entry says to the subscribers. */
export type Said =
  | { readonly kind: 'message'; readonly binary: boolean; readonly except: readonly string[]; data: Buffer }
  | { readonly kind: 'disconnect'; readonly code: number | undefined; readonly reason: string }
  /** Messages of this topic are lost. */
  | { readonly kind: 'gap' }
  /** Messages of any topic may be lost. */
  | { readonly kind: 'gaps' }
  /** A newer node says something that this one does not know. */
  | { readonly kind: 'unknown' }

export interface Entry {
  readonly publisher: string
  readonly seq: number
  readonly said: Said
}

const version = 1
const kinds = ['text', 'binary', 'disconnect', 'gap', 'gaps'] as const
const headOf = 9

/** The bytes of an entry. Copies its data. */
export function writeEntry({ publisher, seq, said }: Entry): Buffer {
  const { kind, parts } = partsOf(said)
  const name = Buffer.from(publisher)
  const bytes = Buffer.allocUnsafe(headOf + name.length + parts.reduce((sum, { length }) => sum + length, 0))
  bytes[0] = version
  bytes[1] = kinds.indexOf(kind)
  bytes.writeUIntBE(seq, 2, 6)
  bytes[8] = name.length
  let at = headOf
  for (const part of [name, ...parts]) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function partsOf(said: Said): { kind: (typeof kinds)[number]; parts: Uint8Array[] } {
  if (said.kind === 'message') {
    const except = said.except.length === 0 ? '' : JSON.stringify(said.except)
    const head = Buffer.from(except)
    return { kind: said.binary ? 'binary' : 'text', parts: [uint(head.length, 4), head, said.data] }
  }
  if (said.kind === 'disconnect')
    return { kind: said.kind, parts: [uint(said.code ?? 0, 2), Buffer.from(said.reason)] }
  return { kind: said.kind === 'gaps' ? 'gaps' : 'gap', parts: [] }
}

/** Reads an entry. Undefined: not even its head can be read. Its data is a part of these bytes. */
export function readEntry(given: Uint8Array): Entry | undefined {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  const body = headOf + (bytes[8] ?? 0)
  if (bytes[0] !== version || bytes.length < body) return undefined
  const publisher = bytes.toString('utf8', headOf, body)
  return { publisher, seq: bytes.readUIntBE(2, 6), said: readSaid(bytes[1], bytes.subarray(body)) }
}

function readSaid(code: number | undefined, body: Buffer): Said {
  const kind = kinds[code as number]
  if (kind === 'gap' || kind === 'gaps') return { kind }
  if (kind === 'disconnect' && body.length >= 2)
    return { kind, code: body.readUInt16BE(0) || undefined, reason: body.toString('utf8', 2) }
  if ((kind !== 'text' && kind !== 'binary') || body.length < 4) return { kind: 'unknown' }
  const end = 4 + body.readUInt32BE(0)
  const except = end === 4 ? [] : readList(body.toString('utf8', 4, end))
  if (!except || end > body.length) return { kind: 'unknown' }
  return { kind: 'message', binary: kind === 'binary', except, data: body.subarray(end) }
}

function readList(text: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((one) => typeof one === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
