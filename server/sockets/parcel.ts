/** A client written down, so that another server goes on with it: its session, its topics and what the application keeps of it. */
import { deserialize, serialize } from 'node:v8'
import type { Snapshot } from '../../shared/snapshot.ts'
import type { TopicPlace } from '../base/cluster.ts'
import type { BinaryType } from './data.ts'
import { readRecord } from './durable.ts'

/** What is written down of a client. */
export interface Moving {
  /** What proves to whom it belongs. */
  readonly proof: string
  readonly protocol: string
  readonly snapshot: Snapshot
  /** Its topics, and up to where it has each. */
  readonly topics: readonly (readonly [topic: string, place: TopicPlace | undefined])[]
  readonly binaryType: BinaryType
  /** What the application keeps of it. */
  readonly data: unknown
  /** The application has not been told of it for certain. */
  readonly isNew?: boolean
}

/** Another number is of a server that this one does not understand. */
const version = 1
/** What is there is a record, which a server stored that has died. */
const recordVersion = 2

/** Throws if `socket.data` has what cannot be written down: functions, sockets, timers. */
export function pack(moving: Moving): Uint8Array {
  return serialize([version, moving])
}

/** Undefined if a newer server has written it. */
export function unpack(bytes: Uint8Array): Moving | undefined {
  try {
    const [by, moving] = deserialize(bytes) as [number, Moving | Parameters<typeof readRecord>[0]]
    if (by === recordVersion) return readRecord(moving as Parameters<typeof readRecord>[0])
    return by === version ? (moving as Moving) : undefined
  } catch {
    // A newer version of V8 has written it.
    return undefined
  }
}
