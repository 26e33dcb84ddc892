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
  #all: Registered[] = []
  /** The listener for messages, if there is just one, and it stays. */
  sole: Listener = null

  constructor(types: readonly string[]) {
    this.types = types
  }

  count(type: string | symbol): number {
    return this.of(type).length
  }

  of(type: string | symbol | undefined): readonly Registered[] {
    this.#all = this.#all.filter(({ signal }) => !signal?.aborted)
    return this.#all.filter((one) => type === undefined || one.type === type)
  }

  /** To be called before the target's own method. */
  add(target: EventTarget, type: string, listener: Listener, options?: AddOptions): void {
    const { once, signal } = Object(options) as { once?: boolean; signal?: AbortSignal }
    const one = { type, listener, capture: isCapture(options), stays: !once && !signal, signal }
    if (!this.types.includes(type) || !listener || signal?.aborted || this.#find(one)) return
    this.#all.push(one)
    this.#lookForSole()
    const gone = (): void => this.#drop(one)
    // Runs before the listener itself, so that a listener with `once` no longer counts while it runs.
    if (once) EventTarget.prototype.addEventListener.call(target, type, gone, { once, capture: one.capture })
  }

  remove(type: string, listener: Listener, options?: AddOptions): void {
    this.#drop(this.#find({ type, listener, capture: isCapture(options) }))
  }

  #find({ type, listener, capture }: Omit<Registered, 'stays' | 'signal'>): Registered | undefined {
    return this.of(type).find((one) => one.listener === listener && one.capture === capture)
  }

  #drop(gone: Registered | undefined): void {
    this.#all = this.#all.filter((one) => one !== gone)
    this.#lookForSole()
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
