/** What the durable mode of a cluster adds to claims: how changes are grouped, and the form in which a node takes a record over. */
import { serialize } from 'node:v8'
import type { Change, SessionRecord } from './engine.ts'

/** The most sessions in one command of the store. */
const mostSessions = 100
/** A command with this many bytes gets no further session. */
const mostBytes = 1_048_576

/** Splits changes into commands. A command has only changes of one group. */
export function pieces(changes: readonly Change[], groupOf: (change: Change) => number): Change[][] {
  const open = new Map<number, { readonly piece: Change[]; bytes: number }>()
  const all: Change[][] = []
  for (const change of changes) {
    const group = groupOf(change)
    let last = open.get(group)
    if (!last || last.piece.length === mostSessions || last.bytes >= mostBytes) {
      last = { piece: [], bytes: 0 }
      open.set(group, last)
      all.push(last.piece)
    }
    last.piece.push(change)
    for (const value of change.set.values()) last.bytes += value.length
  }
  return all
}

/** The version by which `parcel.ts` recognises a record. */
const recordVersion = 2

/** A record in the form of a session that was handed over. */
export function stateOf(record: SessionRecord): Uint8Array {
  return serialize([recordVersion, record])
}
