/** What everwire has to keep on every network, and how a run is told in a line. */
import { expect, test } from 'vitest'
import { needs } from '../support/tools.ts'
import { type Contestant, everwire } from './contestant.ts'
import { lastWords } from './follow.ts'
import type { Network } from './network.ts'
import { figures, type Result, run } from './run.ts'

/** Each end measures in its own time; what the other had to wait for its turn, and what is between them, it does not know. */
const slack = ({ stall }: Result): number => 1000 + 10 * stall

/** Whether a message is late the longest gap tells, which knows of busy machines. These only tell a conversation that goes on from one that hangs. */
export const hangs = { within: 50_000, settle: 20_000 }

/** One test that runs beside others. */
export function testNetwork(network: Network, contestant: Contestant = everwire): void {
  const body = (): void =>
    test(network.name, async () => holds(network, await run(contestant, network, hangs)))
  if (network.proxy) needs(network.proxy.program, 'a real proxy', body)
  else body()
}

/** Prints what was measured, and fails for what may not be. */
export function holds(network: Network, result: Result): void {
  console.log(`${network.name}: ${figures(result)}`)
  const { limits } = network
  arrived(result)
  const told = result.diary.join('\n')
  for (const transport of result.transports.filter((name) => name !== 'null'))
    expect(limits.uses, told).toContain(transport)
  if (limits.ends) expect(result.transports.at(-1), told).toBe(limits.ends)
  const first = `the first answer: ${limits.because}\n${told}`
  expect(result.first, first).toBeLessThan(limits.first + slack(result))
  const gap = Math.max(result.toServer.longestGap, result.toClient.longestGap)
  expect(gap, `the longest gap: ${limits.because}\n${told}`).toBeLessThan(limits.gap + slack(result))
}

/** Everything has arrived, once and in order, and no application saw anything but the last close. */
export function arrived(result: Result): void {
  const clean = { refused: 0, lost: 0, repeated: 0, disordered: 0, damaged: 0 }
  const end = `close ${lastWords.code} ${lastWords.reason}`
  expect(result, result.diary.join('\n')).toMatchObject({
    toServer: clean,
    toClient: clean,
    visible: [],
    closed: { client: end, server: end },
    stuck: undefined,
  })
}
