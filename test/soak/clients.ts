/** A process of clients: each place has one session after the other, over the same transport and through the same gate. */
import { Chance } from './chance.ts'
import { answer, tellParent, type Use, use } from './processes.ts'
import type { Settings } from './settings.ts'
import { Talker } from './talker.ts'
import { type Counts, Tally } from './tally.ts'

export interface ClientsSettings {
  readonly settings: Settings
  readonly ports: readonly number[]
  /** Which of the processes this is. */
  readonly index: number
}

export interface ClientsStatus {
  readonly counts: Counts
  readonly open: number
}

const transports = ['websocket', 'stream', 'sse', 'polling'] as const

export function visit({ settings, ports, index }: ClientsSettings): void {
  const { sessions, seed, processes } = settings
  const tally = new Tally(tellParent)
  const chance = new Chance(seed, `clients ${index}`)
  const talkers = new Set<Talker>()
  let finishing = false

  const enter = (place: number, serial: number): void => {
    if (finishing) return
    const transport = transports[place % transports.length] as (typeof transports)[number]
    const port = ports[Math.floor(place / transports.length) % ports.length]
    const talker = new Talker({
      url: `http://127.0.0.1:${port}/`,
      transports: [transport],
      chance: new Chance(seed, `${place} ${serial}`),
      tally,
      settings,
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
      const every = Math.max(4, Math.min(40, 60_000 / sessions)) * processes
      let place = index
      const timer = setInterval(() => {
        if (place < sessions && !finishing) enter(place, 0)
        else clearInterval(timer)
        place += processes
      }, every)
    },
    use: (): Promise<Use> => use(),
    status: (): ClientsStatus => ({ counts: tally.counts, open: talkers.size }),
    /** Every session ends so that both directions are known to be whole. */
    finish(): void {
      finishing = true
      for (const talker of talkers) talker.finish()
    },
  })
}
