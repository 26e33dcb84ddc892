/** A client written down, so that another server goes on with it: its session, its topics and what the application keeps of it. */
import { deserialize, serialize } from 'node:v8'
import type { Moving } from './moving.ts'
import { readRecord } from './record.ts'

/** This server does not understand a parcel with another number. */
const version = 1
/** The number of a record of the durable mode, whose server has died. */
const recordVersion = 2

/** Throws if `socket.data` has values that cannot be written down: functions, sockets, timers. */
export function pack(moving: Moving): Uint8Array {
  return serialize([version, moving])
}

let hasWarned = false

/** Tells the application what is wrong with its `socket.data`. It ends this client's session, and must not end all others with the process. */
export function warnOfData(error: unknown): void {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(
    `A session ends because its socket.data cannot be written down: ${(error as Error).message} Keep there only what structuredClone takes.`,
    { type: 'everwire', code: 'EVERWIRE_DATA' },
  )
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
