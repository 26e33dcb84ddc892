/** A share of `npm run soak`, which runs for hours: the same program, for as long as everybody's tests may take. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { needs } from '../support/tools.ts'
import type { Result as ClusterResult } from './cluster/run.ts'
import type { Result } from './run.ts'

const root = new URL('../..', import.meta.url)
/** It ends by itself, with what is wrong; this is for the case that it does not. */
const within = { timeout: 600_000 }

interface Soak<Found> {
  readonly code: number | null
  readonly result: Found
  readonly printed: string
}

async function soak<Found = Result>(...args: string[]): Promise<Soak<Found>> {
  const script = fileURLToPath(new URL('scripts/soak.mjs', root))
  const child = spawn(process.execPath, [script, '--json', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (out === '') throw new Error(`It gave no result: ${printed}`)
  return { code, result: JSON.parse(out), printed }
}

describe.sequential('sessions over every transport, cut and cut off', () => {
  test('300 of them for two minutes: once, in order, and the heap is flat', within, async () => {
    const busy = ['--rate', '5', '--life', '10-100', '--cuts', '20', '--outages', '5', '--every', '3']
    const { code, result, printed } = await soak('--sessions', '300', '--minutes', '2', ...busy)
    expect(result.complaints, printed).toEqual([])
    expect(code).toBe(0)
    expect(result.faults).toEqual({ lost: 0, twice: 0, disorder: 0, spoilt: 0 })
    // Otherwise it was no trial.
    expect(result.clients.resumed).toBeGreaterThan(100)
    expect(result.outages).toBeGreaterThan(0)
    expect(result.clients.ended).toBeGreaterThan(300)
  })

  test('a message that is dropped on purpose is found', within, async () => {
    const short = ['--rate', '1', '--life', '60', '--cuts', '1000', '--outages', '1000', '--every', '1']
    const { code, result } = await soak('--sessions', '8', '--minutes', '0.1', '--plant', 'drop', ...short)
    expect(result.faults.lost).toBeGreaterThan(0)
    expect(code).toBe(1)
  })
})

needs(['redis-server', 'nginx'], 'sessions over every transport, on three servers', () => {
  const small = [
    '--cluster',
    '--sessions',
    '60',
    '--topics',
    '20',
    '--rate',
    '1',
    '--quiet',
    '1',
    '--drain',
    '1',
  ]
  const soakCluster = (...args: string[]) => soak<ClusterResult>(...small, '--lease', '2', ...args)

  test(
    'one is killed, one stands still, all are restarted: once, in order, or the server is gone',
    within,
    async () => {
      const { code, result, printed } = await soakCluster()
      expect(result.complaints, printed).toEqual([])
      expect(code).toBe(0)
      expect(result.faults).toEqual({ lost: 0, twice: 0, disorder: 0, spoilt: 0 })
      expect(result.clients.ended).toBe(60)
      // Otherwise it was no trial.
      expect(result.kill.taken).toBeGreaterThan(0)
      expect(result.handedOver).toBeGreaterThan(60)
      expect(result.passed).toBeGreaterThan(100)
    },
  )

  test('a message of a topic that is not published is found', within, async () => {
    const { code, result } = await soakCluster('--sessions', '8', '--topics', '4', '--plant', 'topic')
    expect(result.faults.lost).toBeGreaterThan(0)
    expect(code).toBe(1)
  })
})
