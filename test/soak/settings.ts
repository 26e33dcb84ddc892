/** What a run may be told. */
import { parseArgs } from 'node:util'

export const plants = ['drop', 'double', 'swap', 'spoil'] as const
export type Plant = (typeof plants)[number]

export interface Settings {
  readonly sessions: number
  readonly minutes: number
  readonly seed: number
  /** Seconds between two messages of a client, on average. */
  readonly rate: number
  /** Seconds between two cuts of a connection, on average. */
  readonly cuts: number
  /** Seconds between two outages, each of one gate, on average. */
  readonly outages: number
  /** The server's option, in seconds: what is silent is most of what thousands of sessions cost. */
  readonly heartbeat: number
  /** How long a session lives, in seconds. */
  readonly life: readonly [min: number, max: number]
  /** How many processes hold the clients. */
  readonly processes: number
  /** Seconds between two lines. */
  readonly every: number
  readonly json: boolean
  /** A fault of the run's own, which it must find. */
  readonly plant: Plant | undefined
}

/** Throws a text for whoever typed it. */
export function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sessions: { type: 'string', default: '5000' },
      minutes: { type: 'string', default: '120' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '60' },
      cuts: { type: 'string', default: '600' },
      heartbeat: { type: 'string', default: '30' },
      outages: { type: 'string', default: '60' },
      life: { type: 'string', default: '60-1200' },
      processes: { type: 'string' },
      every: { type: 'string', default: '30' },
      json: { type: 'boolean', default: false },
      plant: { type: 'string' },
    },
  })
  const { json, life, plant, processes, ...rest } = values
  const numbers = Object.fromEntries(
    Object.entries(rest).map(([name, text]) => [name, positive(name, text)]),
  ) as Record<keyof typeof rest, number>
  const [min, max = min] = life.split('-').map((text) => positive('life', text))
  if (min === undefined || max === undefined || max < min)
    throw new Error('--life is two numbers of seconds, as 60-1200')
  const planted = plants.find((name) => name === plant)
  if (plant !== undefined && !planted) throw new Error(`--plant is one of: ${plants.join(', ')}`)
  const whole = ['sessions', 'seed'] as const
  for (const name of whole)
    if (!Number.isSafeInteger(numbers[name])) throw new Error(`--${name} is a whole number`)
  return {
    ...numbers,
    life: [min, max],
    processes:
      processes === undefined ? Math.ceil(numbers.sessions / 1250) : positive('processes', processes),
    json,
    plant: planted,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e9)) throw new Error(`--${name} is a number above 0, not '${text}'`)
  return value
}
