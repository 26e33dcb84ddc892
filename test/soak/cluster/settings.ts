/** What a run on a cluster may be told, and which sessions subscribe to which topics. */
import { parseArgs } from 'node:util'

const plants = ['drop', 'topic', 'kill'] as const
export type Plant = (typeof plants)[number]

export interface Settings {
  readonly sessions: number
  readonly topics: number
  readonly seed: number
  /** Seconds between two messages of a client, on average; a topic has one as often. */
  readonly rate: number
  /** Seconds between two things that happen to servers. */
  readonly quiet: number
  /** Of a server, in seconds. */
  readonly lease: number
  readonly heartbeat: number
  /** How long a server takes to hand its sessions over, in seconds. */
  readonly drain: number
  readonly balancer: 'nginx' | 'haproxy'
  /** How many processes hold the clients. */
  readonly processes: number
  readonly json: boolean
  /** A fault of the run's own, which it must find. `drop`: each client misses a message. `topic`: one message is not published. `kill`: a server ends and nobody is told. */
  readonly plant: Plant | undefined
}

/** Throws a text for whoever typed it. */
export function readClusterSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      cluster: { type: 'boolean' },
      sessions: { type: 'string', default: '2000' },
      topics: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '10' },
      quiet: { type: 'string', default: '15' },
      lease: { type: 'string', default: '6' },
      heartbeat: { type: 'string', default: '15' },
      drain: { type: 'string', default: '10' },
      balancer: { type: 'string', default: 'nginx' },
      json: { type: 'boolean', default: false },
      plant: { type: 'string' },
    },
  })
  const { cluster: _, json, plant, balancer, ...rest } = values
  const planted = plants.find((name) => name === plant)
  if (plant !== undefined && !planted) throw new Error(`--plant is one of: ${plants.join(', ')}`)
  if (balancer !== 'nginx' && balancer !== 'haproxy') throw new Error('--balancer is nginx or haproxy')
  const numbers = Object.fromEntries(
    Object.entries(rest).map(([name, text]) => {
      const value = Number(text)
      if (!(value > 0 && value < 1e9)) throw new Error(`--${name} is a number above 0, not '${text}'`)
      return [name, value]
    }),
  ) as Record<keyof typeof rest, number>
  return { ...numbers, json, plant: planted, balancer, processes: Math.ceil(numbers.sessions / 700) }
}

/** The topics of the session at this place: two, so that many sessions share each. Counted from 1. */
export function topicsOf(place: number, { topics }: Settings): number[] {
  return [...new Set([1 + (place % topics), 1 + ((place * 7 + 3) % topics)])]
}

export function topicOf(number: number): string {
  return `topic ${number}`
}

export function numberOf(topic: string): number {
  return Number(topic.slice('topic '.length))
}
