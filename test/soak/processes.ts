/** Processes that answer calls. They end with the one that started them, however that ends. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Beside much other work a process may be slow; one that hangs must not stop the run from ending. */
const callTimeout = 120_000

export interface Part {
  call<Result>(method: string, params?: unknown): Promise<Result>
  /** With one that ends it, resolves when it has ended. */
  signal(name: NodeJS.Signals): Promise<void>
  stop(): Promise<void>
}

type Answer = { readonly id: number; readonly result?: unknown; readonly error?: string }
type Told = { readonly told: string }

/** Starts this program, which is one file by then, again as one of its parts. */
export function startPart(name: string, params: unknown, tell: (text: string) => void): Part {
  const child = fork(fileURLToPath(import.meta.url), ['part', name, JSON.stringify(params)], {
    execArgv: ['--expose-gc'],
    // What it prints is no part of the report. In a group of its own Ctrl-C ends only the one that reports.
    stdio: ['ignore', 2, 2, 'ipc'],
    detached: true,
  })
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  let serial = 0
  let ended: string | undefined
  child.on('message', (message: Answer | Told) => {
    if ('told' in message) {
      tell(`${name}: ${message.told}`)
      return
    }
    const call = waiting.get(message.id)
    if (message.error === undefined) call?.resolve(message.result)
    else call?.reject(new Error(`${name}: ${message.error}`))
  })
  child.on('exit', (code, signal) => {
    ended = `${name} has ended: ${signal ?? code}`
    for (const { reject } of waiting.values()) reject(new Error(ended))
  })
  return {
    async call<Result>(method: string, given?: unknown): Promise<Result> {
      if (ended !== undefined) throw new Error(ended)
      const id = ++serial
      let timer: NodeJS.Timeout | undefined
      try {
        return (await new Promise((resolve, reject) => {
          waiting.set(id, { resolve, reject })
          timer = setTimeout(() => reject(new Error(`${name} does not answer ${method}`)), callTimeout)
          child.send({ id, method, params: given })
        })) as Result
      } finally {
        clearTimeout(timer)
        waiting.delete(id)
      }
    },
    async signal(name) {
      const exited = name === 'SIGKILL' ? once(child, 'exit') : undefined
      child.kill(name)
      await exited
    },
    async stop() {
      if (ended !== undefined) return
      const exited = once(child, 'exit')
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await exited
      clearTimeout(timer)
    },
  }
}

/** The part's side. */
export function answer(functions: Readonly<Record<string, (params: never) => unknown>>): void {
  process.on('disconnect', () => process.exit())
  process.on('message', async ({ id, method, params }: { id: number; method: string; params: never }) => {
    let reply: Answer
    try {
      reply = { id, result: await functions[method]?.(params) }
    } catch (error) {
      reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    if (process.connected) process.send?.(reply)
  })
}

export function tellParent(told: string): void {
  if (process.connected) process.send?.({ told } satisfies Told)
}

export interface Use {
  /** Bytes in use after a thorough collection: objects, and what buffers hold beside them. */
  readonly heap: number
  readonly rss: number
  /** Microseconds of CPU so far. */
  readonly cpu: number
}

export async function use(): Promise<Use> {
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.()
    // What was collected may have held something that is freed in a task of its own.
    await new Promise(setImmediate)
  }
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return { heap: heapUsed + external, rss, cpu: user + system }
}
