/** What a run has shown. */
import type { Counts } from './tally.ts'

export interface Sample {
  /** Seconds since the run began. */
  readonly at: number
  /** Bytes. */
  readonly heap: number
}

export interface HeapVerdict {
  /** Medians of the first and of the last third of the second half, in MiB. */
  readonly before: number
  readonly after: number
  readonly allowed: number
  /** MiB an hour, over the second half. */
  readonly slope: number
  readonly flat: boolean
}

export const MiB: number = 1024 * 1024

export function judgeHeap(samples: readonly Sample[]): HeapVerdict | undefined {
  const second = samples.slice(Math.floor(samples.length / 2))
  const third = Math.floor(second.length / 3)
  if (third === 0) return undefined
  const before = median(second.slice(0, third)) / MiB
  const after = median(second.slice(-third)) / MiB
  const allowed = before * 1.05 + 2
  return { before, after, allowed, slope: slope(second), flat: after <= allowed }
}

function median(samples: readonly Sample[]): number {
  const sorted = samples.map(({ heap }) => heap).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** Least squares. */
function slope(samples: readonly Sample[]): number {
  const count = samples.length
  const at = samples.reduce((sum, sample) => sum + sample.at, 0) / count
  const heap = samples.reduce((sum, sample) => sum + sample.heap, 0) / count
  const both = samples.reduce((sum, sample) => sum + (sample.at - at) * (sample.heap - heap), 0)
  const square = samples.reduce((sum, sample) => sum + (sample.at - at) ** 2, 0)
  return square === 0 ? 0 : ((both / square) * 3600) / MiB
}

export interface Ends {
  readonly server: Counts
  readonly clients: Counts
  /** What is still there when all should have gone. */
  readonly leftOnServer: number
  readonly leftOnClients: number
  readonly heap: HeapVerdict | undefined
}

/** What is wrong, in words; nothing if all is well. */
export function complaints({ server, clients, leftOnServer, leftOnClients, heap }: Ends): string[] {
  const found: string[] = []
  for (const [end, { faults, unexpected }] of Object.entries({ server, clients })) {
    for (const [kind, count] of Object.entries(faults)) if (count > 0) found.push(`${end}: ${count} ${kind}`)
    for (const [close, count] of Object.entries(unexpected))
      found.push(`${end}: ${count} unexpected closes ${close}`)
  }
  if (leftOnServer + leftOnClients > 0)
    found.push(`sessions without an end: ${leftOnServer} on the server, ${leftOnClients} on the clients`)
  if (clients.sent !== server.received)
    found.push(`clients sent ${clients.sent} messages, the server received ${server.received}`)
  if (clients.ended !== server.ended)
    found.push(`of clients ${clients.ended} sessions ended as they were to, of the server ${server.ended}`)
  if (clients.opened === 0 || clients.received === 0) found.push('nothing was said')
  if (heap && !heap.flat)
    found.push(
      `the server's heap grew from ${heap.before.toFixed(1)} to ${heap.after.toFixed(1)} MiB in the second half`,
    )
  return found
}
