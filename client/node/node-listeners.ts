/**
 * The two ways to listen to a socket in Node: the standard's way and that of an EventEmitter. An object becomes an
 * EventEmitter only with its first listener of `on`, so that others do not pay for it.
 */
import { EventEmitter } from 'node:events'

type Listener = Parameters<EventTarget['addEventListener']>[1]
type AddOptions = Parameters<EventTarget['addEventListener']>[2]
type Registered = {
  readonly type: string
  readonly listener: Listener
  readonly capture: boolean
  /** Only a call to `removeEventListener` removes it. */
  readonly stays: boolean
  /** Asked when it matters. No listener on it: a signal may live longer than many sockets, and its listeners would keep them all. */
  readonly signal: AbortSignal | undefined
  /** Of a listener with `once`: hears the event before it. */
  readonly gone: (() => void) | undefined
}

const { prototype } = EventEmitter
const adding = ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const
const others = [
  ...(['off', 'removeListener', 'emit', 'listeners', 'rawListeners'] as const),
  ...(['eventNames', 'setMaxListeners', 'getMaxListeners'] as const),
]

/** Gives a class the methods of an EventEmitter. Calls `added` for each listener with its type. */
export function beEmitter<T extends object>(target: T, added: (socket: T, type: string) => void): void {
  for (const name of adding) {
    define(target, name, function (this: T, type: string, listener: () => void) {
      added(this, type)
      return prototype[name].call(this as unknown as EventEmitter, type, listener)
    })
  }
  for (const name of others) define(target, name, prototype[name])
}

/** The number of listeners that were added with `on`. */
export function countOf(socket: object, type: string | symbol): number {
  return prototype.listenerCount.call(socket as EventEmitter, type)
}

export function removeAllOf(socket: object, type?: string | symbol): void {
  const all = type === undefined ? [] : [type]
  prototype.removeAllListeners.apply(socket as EventEmitter, all as [])
}

/** Keeps track of the standard's listeners, which an EventTarget does not list. */
export class Standing {
  readonly types: readonly string[]
  readonly #target: EventTarget
  #all: Registered[] = []
  /** The listener for messages, if there is just one, and it stays. */
  sole: Listener = null

  constructor(target: EventTarget, types: readonly string[]) {
    this.#target = target
    this.types = types
  }

  count(type: string | symbol): number {
    return this.of(type).length
  }

  of(type: string | symbol | undefined): readonly Registered[] {
    for (const one of this.#all) if (one.signal?.aborted) this.#forget(one)
    return this.#all.filter((one) => type === undefined || one.type === type)
  }

  /** To be called before the target's own method. */
  add(type: string, listener: Listener, options?: AddOptions): void {
    const { once, signal } = Object(options) as { once?: boolean; signal?: AbortSignal }
    const capture = isCapture(options)
    if (!this.types.includes(type) || !listener || signal?.aborted) return
    if (this.#find(type, listener, capture)) return
    // Runs before the listener itself, so that a listener with `once` no longer counts while it runs.
    const gone = once ? (): void => this.#drop(one) : undefined
    const one: Registered = { type, listener, capture, stays: !once && !signal, signal, gone }
    this.#all.push(one)
    this.#lookForSole()
    if (gone) EventTarget.prototype.addEventListener.call(this.#target, type, gone, { once: true, capture })
  }

  remove(type: string, listener: Listener, options?: AddOptions): void {
    const one = this.#find(type, listener, isCapture(options))
    if (one) this.#drop(one)
  }

  #find(type: string, listener: Listener, capture: boolean): Registered | undefined {
    return this.of(type).find((one) => one.listener === listener && one.capture === capture)
  }

  #drop(one: Registered): void {
    this.#forget(one)
    this.#lookForSole()
  }

  #forget(one: Registered): void {
    const { type, capture, gone } = one
    this.#all = this.#all.filter((other) => other !== one)
    if (gone) EventTarget.prototype.removeEventListener.call(this.#target, type, gone, { capture })
  }

  #lookForSole(): void {
    const [one, ...more] = this.of('message')
    this.sole = one?.stays && more.length === 0 ? one.listener : null
  }
}

function isCapture(options: AddOptions): boolean {
  return typeof options === 'object' ? !!options?.capture : !!options
}

export function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
}

const shown: readonly string[] = ['send', 'close', 'addEventListener', 'removeEventListener', 'dispatchEvent']

/** Defines the attributes of a class between the socket and EventTarget on the visible class. */
export function showAttributes(from: object, to: object): void {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
    const overridden = from !== to && Object.hasOwn(to, name)
    if (!overridden && (descriptor.get || shown.includes(name)))
      Object.defineProperty(to, name, { ...descriptor, enumerable: true })
  }
}
