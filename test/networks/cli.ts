/**
 * `npm run networks`: everwire and its peers through every network, side by side. Options: --only <part of a name>,
 * --contestant <name>, --seed <number>, --json. It fails if everwire loses, repeats, mixes up or shows anything.
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { findTool } from '../../scripts/tools.mjs'
import { type Contestant, everwire, localClient } from './contestant.ts'
import { changing } from './list/changing.ts'
import { unkindToHttp } from './list/http.ts'
import { inTheWay } from './list/in-the-way.ts'
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

/** What has not arrived so long after the last word does not come any more. */
const settle = 5000

interface Row {
  readonly network: string
  readonly contestant: string
  readonly clean: boolean
  readonly result: Result
}

const { contestants } = await import(pathToFileURL('bench/contestants.mjs').href)
const all: Contestant[] = [everwire, ...(await contestants(localClient))]
const chosen = all.filter(({ name }) => !options.contestant || name.includes(options.contestant))
const networks = [...inTheWay, ...unkindToHttp, ...changing].filter(
  ({ name, proxy }) => (!options.only || name.includes(options.only)) && (!proxy || findTool(proxy.program)),
)
if (chosen.length === 0) throw new Error(`--contestant takes ${all.map(({ name }) => name).join(', ')}`)

const rows: Row[] = []
for (const network of networks) {
  const found = await Promise.all(chosen.map((contestant) => enter(contestant, network)))
  rows.push(...found)
  if (!options.json) print(network, found)
}
if (options.json) console.log(JSON.stringify(rows, null, 2))
else summarize()
// A peer may leave a connection that it seeks for ever.
process.exit(rows.some(({ contestant, clean }) => contestant === everwire.name && !clean) ? 1 : 0)

async function enter(contestant: Contestant, network: Network): Promise<Row> {
  const result = await run(contestant, network, { seed: Number(options.seed), settle })
  const { toServer, toClient, visible } = result
  const faults = [toServer, toClient].flatMap((way) => [faulty(way), way.refused])
  const clean = faults.every((count) => count === 0) && visible.length === 0 && result.first !== undefined
  return { network: network.name, contestant: contestant.name, clean, result }
}

function faulty({ lost, repeated, disordered, damaged }: Way): number {
  return lost + repeated + disordered + damaged
}

function print({ name, does }: Network, found: readonly Row[]): void {
  console.log(`\n${name}: ${does}`)
  const head = [
    '',
    'clean',
    'sent',
    'refused',
    'lost',
    'repeated',
    'disordered',
    'visible',
    'first',
    'gap',
    'over',
  ]
  const lines = found.map(
    ({ contestant, clean, result: { first, toServer, toClient, visible, transports } }) => {
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
    },
  )
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]?.length ?? 0)))
  for (const line of [head, ...lines])
    console.log(`  ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}

function summarize(): void {
  console.log('\nclean')
  for (const { name } of chosen) {
    const own = rows.filter(({ contestant }) => contestant === name)
    console.log(`  ${name}: ${own.filter(({ clean }) => clean).length} of ${own.length}`)
  }
}
