/** What a run prints. */
import { MiB } from './judge.ts'
import type { Result, View } from './run.ts'
import { sum } from './tally.ts'

export function lineOf({ seconds, status, clients, open, server, use, cpu }: View): string {
  const { faults } = sum([status.counts, clients])
  const carried = ['websocket', 'stream', 'sse', 'polling']
    .map((name) => `${name} ${status.carried[name] ?? 0}`)
    .join(', ')
  const heaps = use.reduce((all, { heap }) => all + heap, 0)
  return [
    `${clock(seconds)}  ${open} sessions: ${carried}, none ${status.carried.null ?? 0}`,
    `messages ${status.counts.received} to server, ${clients.received} to clients`,
    `ended ${clients.ended}, cuts ${status.cuts}, outages ${status.outages}, resumed ${clients.resumed}`,
    `lost ${faults.lost}, twice ${faults.twice}, disorder ${faults.disorder}, spoilt ${faults.spoilt}`,
    `unexpected closes ${closes(status.counts.unexpected) + closes(clients.unexpected)}`,
    `heap ${mib(server.heap)}, rss ${mib(server.rss)}, clients' heap ${mib(heaps)} MiB`,
    `cpu ${cpu.server.toFixed(2)} server, ${cpu.clients.toFixed(2)} clients`,
  ].join(' | ')
}

export function summaryOf(result: Result): string {
  const { settings, server, clients, faults, heap, heapAt, cuts, outages, complaints } = result
  const lines = [
    `${settings.sessions} sessions at a time for ${result.minutes.toFixed(1)} minutes, seed ${settings.seed}`,
    `sessions: ${clients.opened} opened, ${clients.ended} ended as they were to, ${clients.notOpened} were cut while opening`,
    `messages: ${clients.sent} sent to the server, ${server.received} received; ${server.sent} sent to clients, ${clients.received} received`,
    `network: ${cuts} connections cut, ${outages} outages, ${clients.resumed} times resumed`,
    `lost ${faults.lost}, twice ${faults.twice}, out of order ${faults.disorder}, changed ${faults.spoilt}`,
    `unexpected closes: ${listed(server.unexpected)} on the server, ${listed(clients.unexpected)} on the clients`,
  ]
  if (heapAt)
    lines.push(
      `the server's heap: ${heapAt.half.toFixed(1)} MiB at the half, ${heapAt.end.toFixed(1)} at the end`,
    )
  if (heap) {
    const { before, after, allowed, slope } = heap
    lines.push(
      `  in the second half: ${before.toFixed(1)} to ${after.toFixed(1)} MiB (medians of its first and last third; at most ${allowed.toFixed(1)}), slope ${slope.toFixed(2)} MiB an hour`,
    )
  }
  lines.push(
    complaints.length === 0 ? 'all is well' : `FAILED\n${complaints.map((one) => `  ${one}`).join('\n')}`,
  )
  return lines.join('\n')
}

function closes(unexpected: Readonly<Record<string, number>>): number {
  return Object.values(unexpected).reduce((all, count) => all + count, 0)
}

function listed(unexpected: Readonly<Record<string, number>>): string {
  return (
    Object.entries(unexpected)
      .map(([close, count]) => `${count} x ${close}`)
      .join(', ') || 'none'
  )
}

function mib(bytes: number): string {
  return (bytes / MiB).toFixed(1)
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 19)
}
