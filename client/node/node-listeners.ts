/**
 * The two ways to listen to a socket in Node: the standard's, and an EventEmitter's. An object becomes an EventEmitter with the
 * first listener of `on`: who listens in the standard's way does not pay for it.
 */
import { EventEmitter } from 'node:events'

type Listener = Parameters<EventTarget['addEventListener']>[1]
type AddOptions = Parameters<EventTarget['addEventListener']>[2]
type Registered = { readonly type: string; readonly listener: Listener; readonly capture: boolean }

const { prototype } = EventEmitter
const adding = ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const
const others = [
  ...(['off', 'removeListener', 'emit', 'listeners', 'rawListeners'] as const),
  ...(['eventNames', 'setMaxListeners', 'getMaxListeners'] as const),
]

/** Gives a class the methods of an EventEmitter; `added` hears of each type that is listened to. */
export function beEmitter<T extends object>(target: T, added: (socket: T, type: string) => void): void {
  for (const name of adding) {
    define(target, name, function (this: T, type: string, listener: () => void) {
      added(this, type)
      return prototype[name].call(this as unknown as EventEmitter, type, listener)
    })
  }
  for (const name of others) define(target, name, prototype[name])
}

/** How many have asked by `on`. */
export function countOf(socket: object, type: string | symbol): number {
  return prototype.listenerCount.call(socket as EventEmitter, type)
}

export function removeAllOf(socket: object, type?: string | symbol): void {
  const all = type === undefined ? [] : [type]
  prototype.removeAllListeners.apply(socket as EventEmitter, all as [])
}

/** Who listens in the standard's way, of which an EventTarget does not tell. */
export class Standing {
  readonly types: readonly string[]
  #all: Registered[] = []

  constructor(types: readonly string[]) {
    this.types = types
  }

  count(type: string | symbol): number {
    return this.#all.filter((one) => one.type === type).length
  }

  of(type: string | symbol | undefined): readonly Registered[] {
    return this.#all.filter((one) => type === undefined || one.type === type)
  }

  /** Called before the target itself is told. */
  add(target: EventTarget, type: string, listener: Listener, options?: AddOptions): void {
    const { once, signal } = Object(options) as { once?: boolean; signal?: AbortSignal }
    const one = { type, listener, capture: isCapture(options) }
    if (!this.types.includes(type) || !listener || signal?.aborted || this.#find(one)) return
    this.#all.push(one)
    const gone = (): void => this.#drop(one)
    // The first of the two: in the listener itself it no longer counts.
    if (once) EventTarget.prototype.addEventListener.call(target, type, gone, { once, capture: one.capture })
    signal?.addEventListener('abort', gone, { once: true })
  }

  remove(type: string, listener: Listener, options?: AddOptions): void {
    this.#drop(this.#find({ type, listener, capture: isCapture(options) }))
  }

  #find({ type, listener, capture }: Registered): Registered | undefined {
    return this.#all.find((one) => one.type === type && one.listener === listener && one.capture === capture)
  }

  #drop(gone: Registered | undefined): void {
    this.#all = this.#all.filter((one) => one !== gone)
  }
}

function isCapture(options: AddOptions): boolean {
  return typeof options === 'object' ? !!options?.capture : !!options
}

export function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
}

const shown: readonly string[] = ['send', 'close', 'addEventListener', 'removeEventListener', 'dispatchEvent']

/** A class between a socket and an EventTarget, whose attributes are to be found on it. */
export function showAttributes(from: object, to: object): void {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
    const overridden = from !== to && Object.hasOwn(to, name)
    if (!overridden && (descriptor.get || shown.includes(name)))
      Object.defineProperty(to, name, { ...descriptor, enumerable: true })
  }
}
