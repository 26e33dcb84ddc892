/**
 * `npm run networks`: everwire and its peers through every network, side by side. Options: --only <part of a name>,
 * --contestant <name>, --seed <number>, --json. It fails if everwire loses, repeats, mixes up or shows anything; scripts/networks.mjs adds pages.
 * With --cluster everwire alone: on one server, and on three behind each balancer, over all transports and over each alone.
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Transport } from '../../client/node.ts'
import { findTool } from '../../scripts/tools.mjs'
import { Clusters } from './cluster.ts'
import { type Contestant, everwire, everwireOver, localClient } from './contestant.ts'
import { changing } from './list/changing.ts'
import { inTheWay } from './list/in-the-way.ts'
import { unkindToHttp } from './list/unkind-http.ts'
import { carriesAlone, type Network } from './network.ts'
import { type Result, run, type Way } from './run.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    contestant: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
  },
})

/** Where nothing gets through, that is enough; and what has not come so long after the last word does not come any more. */
const within = 12_000
const settle = 5000
/** So many at a time: they wait more than they work. A cluster is four processes. */
const atATime = options.cluster ? 4 : 8

interface Row {
  readonly network: string
  readonly contestant: string
  /** It got through at all; nothing was refused, lost, repeated or mixed up; and the application saw nothing of it. */
  readonly through: boolean
  readonly complete: boolean
  readonly clean: boolean
  readonly result: Result
}

/** One after the other goes through. */
interface Entrant {
  readonly network: Network
  readonly contestant: Contestant
}

const clusters = options.cluster ? await Clusters.start() : undefined
const all = clusters ? onClusters(clusters) : await peers()
const chosen = all.filter(({ name }) => !options.contestant || name.includes(options.contestant))
const networks = [...inTheWay, ...unkindToHttp, ...changing].filter(
  ({ name, proxy }) => (!options.only || name.includes(options.only)) && (!proxy || findTool(proxy.program)),
)
if (chosen.length === 0) throw new Error(`--contestant takes ${all.map(({ name }) => name).join(', ')}`)
if (networks.length === 0) throw new Error(`No network is called '${options.only}'`)

const rows: Row[] = []
const entrants = networks.flatMap((network) =>
  chosen
    .filter(({ alone }) => !alone || carriesAlone(network, alone))
    .map((contestant): Entrant => ({ network, contestant })),
)
const waiting = [...entrants]
await Promise.all(Array.from({ length: atATime }, enterAll))
if (options.json) console.log(JSON.stringify(rows, null, 2))
else summarize()
await clusters?.end()
// A peer may leave a connection that it seeks for ever.
const isClean = rows.every(({ contestant, clean }) => (!clusters && contestant !== everwire.name) || clean)
process.exit(isClean && !process.exitCode ? 0 : 1)

async function peers(): Promise<Contestant[]> {
  const { contestants } = await import(pathToFileURL('bench/networks.mjs').href)
  return [everwire, ...(await contestants(localClient))]
}

function onClusters(on: Clusters): Contestant[] {
  const ways: (Transport | undefined)[] = [undefined, 'websocket', 'stream', 'sse', 'polling']
  const onOne = ways.map((alone) => ({
    ...everwireOver(alone && [alone]),
    name: `${alone ?? 'everwire'} on one server`,
    alone,
  }))
  const behind = (['nginx', 'haproxy'] as const).flatMap((program) =>
    ways.map((alone) => on.contestant(program, alone)),
  )
  return [...onOne, ...behind]
}

async function enterAll(): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { network, contestant } = next
    rows.push(await enter(contestant, network))
    const found = rows.filter((row) => row.network === network.name)
    const isLast = found.length === entrants.filter((one) => one.network === network).length
    if (isLast && !options.json) print(network, found)
  }
}

async function enter(contestant: Contestant, network: Network): Promise<Row> {
  const limits = { within: within + (network.unnoticed ?? 0) * 1000, settle }
  const result = await run(contestant, network, {
    ...(options.seed !== undefined && { seed: Number(options.seed) }),
    ...limits,
  })
  const through = result.first !== undefined
  const complete = through && [result.toServer, result.toClient].every(isComplete)
  const clean = complete && result.visible.length === 0
  return { network: network.name, contestant: contestant.name, through, complete, clean, result }
}

function isComplete({ refused, lost, repeated, disordered, damaged }: Way): boolean {
  return refused + lost + repeated + disordered + damaged === 0
}

function print({ name, does }: Network, found: readonly Row[]): void {
  console.log(`\n${name}: ${does}`)
  const head = 'clean sent refused lost repeated disordered visible first gap over'.split(' ')
  const lines = found.map(({ contestant, clean, result }) => {
    const { first, toServer, toClient, visible, transports } = result
    const both = (pick: (way: Way) => number): string => String(pick(toServer) + pick(toClient))
    return [
      contestant,
      clean ? 'yes' : 'no',
      both(({ said }) => said),
      both(({ refused }) => refused),
      both(({ lost }) => lost),
      both(({ repeated }) => repeated),
      both(({ disordered, damaged }) => disordered + damaged),
      String(visible.length),
      first === undefined ? 'never' : `${Math.round(first)} ms`,
      `${Math.round(Math.max(toServer.longestGap, toClient.longestGap))} ms`,
      [...new Set(transports.filter((transport) => transport !== 'null'))].join(', '),
    ]
  })
  table([['', ...head], ...lines])
}

function summarize(): void {
  console.log(`\nOf ${networks.length} networks`)
  const lines = chosen.map(({ name }) => {
    const own = rows.filter(({ contestant }) => contestant === name)
    const count = (which: 'through' | 'complete' | 'clean'): string =>
      String(own.filter((row) => row[which]).length)
    const entered = clusters ? [String(own.length)] : []
    return [name, ...entered, count('through'), count('complete'), count('clean')]
  })
  const head = ['got through', 'all arrived, once and in order', 'and nothing was seen of it']
  table([['', ...(clusters ? ['entered'] : []), ...head], ...lines])
  if (clusters) figuresOf(clusters)
}

/** What one server and three have in common, and what not. */
function figuresOf({ passed }: Clusters): void {
  console.log('\nOf all networks together')
  const head = 'sent lost repeated first gap passed'.split(' ')
  const lines = chosen.map(({ name }) => {
    const own = rows.filter(({ contestant }) => contestant === name).map(({ result }) => result)
    const ways = own.flatMap(({ toServer, toClient }) => [toServer, toClient])
    const sum = (pick: (way: Way) => number): string => String(ways.reduce((all, way) => all + pick(way), 0))
    const median = (numbers: readonly number[]): string =>
      `${Math.round(numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0)} ms`
    return [
      name,
      sum(({ said }) => said),
      sum(({ lost }) => lost),
      sum(({ repeated }) => repeated),
      median(own.flatMap(({ first }) => first ?? [])),
      median(own.map(({ toServer, toClient }) => Math.max(toServer.longestGap, toClient.longestGap))),
      String(passed[name] ?? 0),
    ]
  })
  console.log(
    '  (of `first` and `gap` the medians; `passed`: requests that reached another server than the owner)',
  )
  table([['', ...head], ...lines])
}

function table(lines: readonly (readonly string[])[]): void {
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0))) ?? []
  for (const line of lines)
    console.log(`  ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}
