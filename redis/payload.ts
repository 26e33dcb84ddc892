/** The forms of what goes to Redis and comes from there. */
import type { Entries } from '../cluster/base/engine.ts'

const lineEnd = 0x0a

/**
 * Reads what is published on a topic's channel: epoch, offset of the first entry and all lengths in one line, then the entries.
 * Returns undefined for anything else: anybody may publish on a channel.
 */
export function readPayload(payload: Buffer): Entries | undefined {
  const end = payload.indexOf(lineEnd)
  const [epoch, first, ...lengths] = payload.toString('latin1', 0, Math.max(end, 0)).split(' ')
  const offset = Number(first)
  if (!epoch || !Number.isSafeInteger(offset)) return
  const entries: Uint8Array[] = []
  let at = end + 1
  for (const length of lengths) {
    const next = at + Number(length)
    if (!(next >= at && next <= payload.length)) return
    entries.push(payload.subarray(at, next))
    at = next
  }
  return { from: { epoch, offset }, entries }
}

/** The entries behind this place; all of them if they are of another epoch. */
export function after({ from, entries }: Entries, { epoch, offset }: Entries['from']): Entries {
  const known = from.epoch === epoch ? Math.max(0, offset - from.offset + 1) : 0
  return known === 0
    ? { from, entries }
    : { from: { epoch, offset: from.offset + known }, entries: entries.slice(known) }
}

export function bytesOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

/** An answer that is a list of texts. */
export function strings(values: unknown): string[] {
  return (values as unknown[]).map(String)
}
