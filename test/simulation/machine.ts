/**
 * What the code under test takes for its runtime: the globals and modules that have a clock, chance or the network behind them,
 * on the clock and the chance of the simulation. The rest is the real thing.
 */
import { createRequire } from 'node:module'
import { fakeWs } from './fake-ws.ts'
import { Chunks, PlainSignal } from './streams.ts'
import { PlainWeakMap, PlainWeakSet } from './weak.ts'
import { clockOffset, type World } from './world.ts'

type Listener = ((event: PlainEvent) => void) | { handleEvent(event: PlainEvent): void }

/** An event as far as one goes that neither bubbles nor has a default. */
export class PlainEvent {
  readonly type: string
  readonly data: unknown

  constructor(type: string, init?: { readonly data?: unknown }) {
    this.type = type
    this.data = init?.data
  }

  preventDefault(): void {}
}

class PlainEventTarget {
  #listeners: { readonly type: string; readonly listener: Listener }[] = []

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener })
  }

  removeEventListener(type: string, listener: Listener): void {
    this.#listeners = this.#listeners.filter((one) => one.type !== type || one.listener !== listener)
  }

  dispatchEvent(event: PlainEvent): boolean {
    for (const { type, listener } of this.#listeners) {
      if (type !== event.type) continue
      if (typeof listener === 'function') listener.call(this, event)
      else listener.handleEvent(event)
    }
    return true
  }
}

const encoder = new TextEncoder()

/** For what is short and ASCII, as most is here, it takes a quarter of the time. */
class PlainTextEncoder {
  encode(text: string): Uint8Array {
    const { length } = text
    if (length > 100) return encoder.encode(text)
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) return encoder.encode(text)
      bytes[i] = code
    }
    return bytes
  }
}

class PlainAbortController {
  readonly signal: PlainSignal = new PlainSignal()

  abort(): void {
    const { signal } = this
    if (signal.aborted) return
    signal.aborted = true
    signal.onabort?.()
    signal.heard?.()
  }
}

/** Strings that somebody puts in and one reader takes out. */
class PlainReadableStream {
  readonly #chunks: Chunks = new Chunks()

  constructor({ start }: { start(controller: object): void }) {
    const chunks = this.#chunks
    start({
      enqueue: (value: string) => chunks.give(value),
      close: () => chunks.end(),
      error: () => chunks.fail(new Error('aborted')),
    })
  }

  getReader(): Chunks {
    return this.#chunks
  }
}

const ready = Promise.resolve()

/** The names that stand in front of the code, and what they mean there. */
export type Globals = Record<string, unknown>

/** What `setTimeout` gives. */
interface Rung {
  run: (() => void) | undefined
  unref(): Rung
}

/** Whose clock and chance it is: the world's, or those of a process in it. */
export interface Host {
  readonly now: number
  readonly random: World['random']
  after(delay: number, run: () => void, isOfClient?: boolean): Rung
  nextTick(run: () => void): void
}

function common(world: Host, isClient: boolean, clock: () => number): Globals {
  const set = (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): Rung =>
    // As in Node: what cannot be waited for is waited for a millisecond.
    world.after(
      ms !== undefined && ms >= 1 && ms < 2 ** 31 ? Math.floor(ms) : 1,
      args.length > 0 ? () => run(...args) : run,
      isClient,
    )
  return {
    setTimeout: set,
    clearTimeout: (task: Rung | undefined) => {
      if (task) task.run = undefined
    },
    performance: { now: clock },
    Date: { now: () => 1_700_000_000_000 + world.now },
    /** `Math.random` (`load.ts`). */
    simulatedRandom: () => world.random.next() / 2 ** 32,
    TextEncoder: PlainTextEncoder,
    // Node's own makes an async resource for each.
    queueMicrotask: (run: () => void) => void ready.then(run),
    WeakMap: PlainWeakMap,
    WeakSet: PlainWeakSet,
  }
}

function fill<T extends Uint8Array>(world: Host, bytes: T): T {
  for (let i = 0; i < bytes.length; i++) bytes[i] = world.random.next()
  return bytes
}

export function clientGlobals(world: World): Globals {
  return {
    ...common(world, true, () => world.now),
    crypto: { getRandomValues: (bytes: Uint8Array) => fill(world, bytes) },
    Event: PlainEvent,
    MessageEvent: PlainEvent,
    EventTarget: PlainEventTarget,
    AbortController: PlainAbortController,
    ReadableStream: PlainReadableStream,
    globalThis: {
      navigator: {
        get onLine() {
          return !world.offline
        },
      },
    },
  }
}

/** `clock`: of a process that has one of its own; `more`: modules that it must not have from Node. */
export function serverGlobals(
  world: Host,
  clock: () => number = () => world.now + clockOffset,
  more: Readonly<Record<string, unknown>> = {},
): Globals {
  const real = createRequire(import.meta.url)
  const modules: Record<string, unknown> = {
    ws: fakeWs(real('ws')),
    crypto: { ...real('node:crypto'), randomBytes: (size: number) => fill(world, Buffer.alloc(size)) },
    // A server asks for it once; here there are thousands of servers a second.
    os: { ...real('node:os'), totalmem: () => 8 * 2 ** 30 },
    ...more,
  }
  return {
    ...common(world, false, clock),
    setImmediate: (run: () => void) => world.after(0, run),
    process: {
      nextTick: (run: (...args: unknown[]) => void, ...args: unknown[]) =>
        world.nextTick(args.length > 0 ? () => run(...args) : run),
      emitWarning: () => {},
      env: {},
      platform: 'linux',
      version: process.version,
      versions: process.versions,
    },
    require: (name: string) => modules[name.replace(/^node:/, '')] ?? real(name),
  }
}
