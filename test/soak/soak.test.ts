/** A share of `npm run soak`, which runs for hours: the same program, for as long as everybody's tests may take. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Result } from './run.ts'

const root = new URL('../..', import.meta.url)
/** It ends by itself, with what is wrong; this is for the case that it does not. */
const within = { timeout: 600_000 }

async function soak(...args: string[]): Promise<{ code: number | null; result: Result; printed: string }> {
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
