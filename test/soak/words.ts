/** What is said: a header of one line, then filler that follows from the number, so that every byte can be checked. */
import { draw } from '../../testing/random.ts'

/** The client says `hi`, `say` and `bye`, the server `start`, `answer` and `own`, and `topic` to all who listen to that; on a cluster `gap`, too. */
const kinds = ['hi', 'say', 'bye', 'start', 'answer', 'own', 'topic', 'gap'] as const
export type Kind = (typeof kinds)[number]

export interface Word {
  readonly kind: Kind
  /** Counted from 1: of a `topic` in that topic, of all others in their direction of the session. */
  readonly number: number
  /**
   * `bye`: the code to close with. `answer`: the number that is answered. `start`: the next number in the topic. On a cluster `hi`: the
   * place of the session, `start`: the server, `topic` and `gap`: which topic. Else 0.
   */
  readonly about: number
  /** Bytes of filler. */
  readonly size: number
  readonly binary: boolean
}

export const largest = 300 * 1024
/** Filler begins at a place that follows from the number: what belongs to another message does not fit. */
const places = 4093
const filler = Buffer.from(
  Uint8Array.from({ length: largest + places }, (_, i) => 32 + Math.floor(draw(1, 'filler', i) * 95)),
)
const fillerText = filler.toString('latin1')

export function compose({ kind, number, about, size, binary }: Word): string | Buffer {
  const header = `${kind} ${number} ${about} ${size} ${binary ? 'b' : 't'}\n`
  const place = number % places
  if (!binary) return header + fillerText.slice(place, place + size)
  return Buffer.concat([Buffer.from(header), filler.subarray(place, place + size)])
}

/** Returns undefined if it is not whole, or not what was said. */
export function read(data: Buffer, isBinary: boolean): Word | undefined {
  const end = data.indexOf(10)
  const [kind, number, about, size, type] = data.toString('latin1', 0, Math.max(end, 0)).split(' ')
  const known = kinds.find((name) => name === kind)
  const word = { number: Number(number), about: Number(about), size: Number(size), binary: type === 'b' }
  if (!known || word.binary !== isBinary) return undefined
  const place = word.number % places
  const same = filler.subarray(place, place + word.size).equals(data.subarray(end + 1))
  return same ? { kind: known, ...word } : undefined
}
