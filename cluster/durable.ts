/** What the durable mode of a cluster adds to claims: how changes are grouped, and what a record is to the node that takes it over. */
import { serialize } from 'node:v8'
import type { Change, SessionRecord } from './engine.ts'

/** So many sessions are in one command of the store. */
const mostSessions = 100
/** A command that has so many bytes gets no more sessions. */
const mostBytes = 1_048_576

/** Changes that are one command each time. Only those of one group may be together. */
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

/** The version of `parcel.ts` that says that this is a record. */
const recordVersion = 2

/** A record in the form of what is handed over. */
export function stateOf(record: SessionRecord): Uint8Array {
  return serialize([recordVersion, record])
}
