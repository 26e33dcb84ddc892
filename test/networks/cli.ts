/**
 * `npm run networks`: everwire and its peers through every network, side by side. Options: --only <part of a name>,
 * --contestant <name>, --seed <number>, --json. It fails if everwire loses, repeats, mixes up or shows anything; scripts/networks.mjs adds pages.
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { findTool } from '../../scripts/tools.mjs'
import { type Contestant, everwire, localClient } from './contestant.ts'
import { changing } from './list/changing.ts'
import { inTheWay } from './list/in-the-way.ts'
import { unkindToHttp } from './list/unkind-http.ts'
import type { Network } from './network.ts'
import { type Result, run, type Way } from './run.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    contestant: { type: 'string' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})

/** Where nothing gets through, that is enough; and what has not come so long after the last word does not come any more. */
const within = 12_000
const settle = 5000
/** Networks at a time: they wait more than they work. */
const beside = 2

interface Row {
  readonly network: string
  readonly contestant: string
  /** It got through at all; nothing was refused, lost, repeated or mixed up; and the application saw nothing of it. */
  readonly through: boolean
  readonly complete: boolean
  readonly clean: boolean
  readonly result: Result
}

const { contestants } = await import(pathToFileURL('bench/networks.mjs').href)
const all: Contestant[] = [everwire, ...(await contestants(localClient))]
const chosen = all.filter(({ name }) => !options.contestant || name.includes(options.contestant))
const networks = [...inTheWay, ...unkindToHttp, ...changing].filter(
  ({ name, proxy }) => (!options.only || name.includes(options.only)) && (!proxy || findTool(proxy.program)),
)
if (chosen.length === 0) throw new Error(`--contestant takes ${all.map(({ name }) => name).join(', ')}`)
if (networks.length === 0) throw new Error(`No network is called '${options.only}'`)

const rows: Row[] = []
const waiting = [...networks]
await Promise.all(Array.from({ length: beside }, enterAll))
if (options.json) console.log(JSON.stringify(rows, null, 2))
else summarize()
// A peer may leave a connection that it seeks for ever.
const isClean = rows.every(({ contestant, clean }) => contestant !== everwire.name || clean)
process.exit(isClean && !process.exitCode ? 0 : 1)

async function enterAll(): Promise<void> {
  for (let network = waiting.shift(); network; network = waiting.shift()) {
    const here = network
    const found = await Promise.all(chosen.map((contestant) => enter(contestant, here)))
    rows.push(...found)
    if (!options.json) print(here, found)
  }
}

async function enter(contestant: Contestant, network: Network): Promise<Row> {
  const limits = { within: within + (network.unnoticed ?? 0) * 1000, settle }
  const result = await run(contestant, network, { seed: Number(options.seed), ...limits })
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
    return [name, count('through'), count('complete'), count('clean')]
  })
  table([['', 'got through', 'all arrived, once and in order', 'and nothing was seen of it'], ...lines])
}

function table(lines: readonly (readonly string[])[]): void {
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0))) ?? []
  for (const line of lines)
    console.log(`  ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}
