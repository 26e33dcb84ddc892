/**
 * The record of a session in durable mode. Its parts are `h`, numbers and topics; `d`, values that seldom change; and groups of
 * messages, by the number of the first message of each.
 */
import { deserialize } from 'node:v8'
import type { Snapshot } from '../../shared/snapshot.ts'
import type { TopicPlace } from '../base/cluster.ts'
import type { BinaryType } from '../messages/data.ts'
import { readMessages } from './durable-session.ts'
import type { Moving } from './moving.ts'

export type Places = Moving['topics']

/**
 * `h`, as JSON. A change of `base` or `epoch` alone is not stored: `base` only says which messages the client has already. `shown`:
 * the application knows of the session.
 */
export type Head = [base: number, epoch: number, state: State]
export type State = [taken: number, ownClose: number, over: boolean, shown: boolean, places: Places]

/** `d`, as V8 writes it. */
export interface Rest {
  readonly proof: string
  readonly protocol: string
  readonly binaryType: BinaryType
  readonly undelivered: Snapshot['undelivered']
  readonly data: unknown
}

/** Reads a record in the form of a session that was handed over. Undefined if it cannot be read. */
export function readRecord(record: ReadonlyMap<string, Uint8Array>): Moving | undefined {
  const [head, rest] = [record.get('h'), record.get('d')]
  if (!head || !rest) return undefined
  const [base, epoch, state] = JSON.parse(String(Buffer.from(head))) as Head
  const [taken, ownClose, over, shown, places] = state
  const { undelivered, ...others } = deserialize(rest) as Rest
  const groups = [...record]
    .filter(([name]) => /^\d+$/.test(name))
    .map(([name, bytes]) => [+name, bytes] as const)
  groups.sort(([one], [other]) => one - other)
  const out: Snapshot['out'][number][] = []
  for (const [first, bytes] of groups) {
    let number = first
    for (const message of readMessages(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)))
      if (number++ === base + out.length + 1) out.push(message)
  }
  const snapshot: Snapshot = {
    outBase: base,
    outOffset: 0,
    out,
    inNumber: taken,
    partial: new Uint8Array(0),
    undelivered,
    ownClose,
    over,
    epoch,
  }
  // JSON has no undefined.
  const topics = places.map(([topic, place]) => [topic, (place as TopicPlace | null) ?? undefined] as const)
  return { ...others, snapshot, topics, isNew: !shown }
}
