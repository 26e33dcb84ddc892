// The attacked server's process, from the attacker's side.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import type { ServerOptions } from '../../server/index.ts'

export interface Counts {
  /** Clients that the application was shown, and that ended. */
  readonly shown: number
  readonly ended: number
  readonly memory: number
  readonly clients: number
}

export interface Target {
  readonly port: number
  readonly url: string
  counts(): Promise<Counts>
  /** Bytes on its heap and outside of it that are not garbage. */
  held(): Promise<number>
  watch(): Promise<number>
  most(): Promise<number>
}

export async function startTarget(options: ServerOptions = {}): Promise<Target> {
  await ensureBuilt()
  const file = fileURLToPath(new URL('target.mjs', import.meta.url))
  const child = fork(file, [JSON.stringify(options)], { execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    if (child.connected) child.disconnect()
    await ended
  })
  const waiting = new Map<number, (result: unknown) => void>()
  child.on('message', ({ id, result }: { id: number; result: unknown }) => {
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const answer = <Result>(id: number): Promise<Result> =>
    Promise.race([
      new Promise<Result>((resolve) => waiting.set(id, resolve as (result: unknown) => void)),
      ended.then(([code, signal]) => {
        throw new Error(`the attacked server has ended: ${signal ?? code}`)
      }),
    ])
  let serial = 0
  const call = <Result>(method: string): Promise<Result> => {
    child.send({ id: ++serial, method })
    return answer<Result>(serial)
  }
  const port = await answer<number>(0)
  return {
    port,
    url: `http://127.0.0.1:${port}/realtime`,
    counts: () => call('counts'),
    held: () => call('held'),
    watch: () => call('watch'),
    most: () => call('most'),
  }
}
