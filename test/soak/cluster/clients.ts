/** A process of clients of a cluster: each place has a session, and another one if its server takes the first with it. */
import { Chance } from '../chance.ts'
import { answer, tellParent } from '../processes.ts'
import { type Counts, Tally } from '../tally.ts'
import type { Settings } from './settings.ts'
import { ClusterTalker } from './talker.ts'

export interface ClientsSettings {
  readonly settings: Settings
  readonly url: string
  /** Which of the processes this is. */
  readonly index: number
}

export interface ClientsStatus {
  readonly counts: Counts
  /** How many are there, and how many of these are open. */
  readonly here: number
  readonly open: number
  /** Those whose server is gone, and that do not know it yet. */
  readonly stale: number
  /** Sessions that went with their server. */
  readonly taken: number
  /** The longest times without a message, in milliseconds, longest first. */
  readonly gaps: readonly number[]
  /** What the first ones still wait for. */
  readonly missing: readonly unknown[]
}

const transports = ['websocket', 'stream', 'sse', 'polling'] as const

export function visitCluster({ settings, url, index }: ClientsSettings): void {
  const { sessions, seed, processes } = settings
  const tally = new Tally(tellParent)
  const chance = new Chance(seed, `clients ${index}`)
  const talkers = new Set<ClusterTalker>()
  const doomed = new Set<number>()
  let taken = 0
  let finishing = false

  const enter = (place: number, serial: number): void => {
    if (finishing) return
    const talker = new ClusterTalker({
      url,
      place,
      transport: transports[place % transports.length] as (typeof transports)[number],
      chance: new Chance(seed, `${place} ${serial}`),
      tally,
      settings,
      doomed,
      taken: () => taken++,
      ended: () => {
        talkers.delete(talker)
        setTimeout(() => enter(place, serial + 1), chance.between(0, 2000)).unref()
      },
    })
    talkers.add(talker)
  }

  answer({
    /** All places are taken one by one. */
    enter(): void {
      const every = Math.max(4, Math.min(40, 20_000 / sessions)) * processes
      let place = index
      const timer = setInterval(() => {
        if (place < sessions && !finishing) enter(place, 0)
        else clearInterval(timer)
        place += processes
      }, every)
    },
    /** That server is about to go, with its sessions. */
    doom: (serial: number): void => void doomed.add(serial),
    /** It goes on after all. */
    spare: (serial: number): void => void doomed.delete(serial),
    status(): ClientsStatus {
      const all = [...talkers]
      return {
        counts: tally.counts,
        here: all.length,
        open: all.filter(({ isOpen }) => isOpen).length,
        stale: all.filter(({ owner }) => owner !== undefined && doomed.has(owner)).length,
        taken,
        gaps: all.map(({ longestGap }) => longestGap).sort((a, b) => b - a),
        missing: finishing ? all.slice(0, 3).map(({ missing }) => missing) : [],
      }
    },
    /** From now on the gaps are counted anew. */
    forgetGaps(): void {
      for (const talker of talkers) talker.longestGap = 0
    },
    finish(last: readonly number[]): void {
      finishing = true
      for (const talker of talkers) talker.finish(last)
    },
  })
}
