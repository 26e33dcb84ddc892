/**
 * What `everwire/reopen` adds to the class: after an end that neither application asked for, the same socket begins another
 * session. The class asks its platform at each end, so a class without it pays only for the question. This file is outside
 * of the browser's file: it uses no names that the build makes short.
 */
import type { CloseEventInit, DiaryEntry, WebSocketOptions } from '../base/types.ts'
import type { Platform } from './platform.ts'

/** How and when a socket of `everwire/reopen` begins another session. */
export interface ReopenOptions {
  /** The longest pause before the first try, in ms; a pause is at least half of it. Default: 1000. */
  readonly minDelay?: number | undefined
  /** Each further pause is twice as long, up to this, in ms. Default: 30 000. */
  readonly maxDelay?: number | undefined
  /** How many tries in a row may fail before the socket is closed for good. Default: `Infinity`. */
  readonly maxRetries?: number | undefined
  /**
   * The close codes after which it begins again, or a function that decides.
   * Default: `[1001, 1006, 1011, 1012, 1013, 1014]`.
   */
  readonly codes?: readonly number[] | ((close: CloseEventInit) => boolean) | undefined
}

/** The options that every entry of `everwire/reopen` has in addition. */
export interface WithReopen {
  /** How and when to begin again. Whoever imports the class from `everwire/reopen` has it switched on. */
  readonly reopen?: ReopenOptions | undefined
}

type Checked = { readonly [Name in keyof ReopenOptions]-?: NonNullable<ReopenOptions[Name]> }

const defaults: Checked = {
  minDelay: 1000,
  maxDelay: 30_000,
  maxRetries: Number.POSITIVE_INFINITY,
  codes: [1001, 1006, 1011, 1012, 1013, 1014],
}

/** A session that was open for this long has worked: the pauses begin with the shortest again. */
const workedFor = 5000
/** The pause between tries while the browser says that it is offline, because it can be wrong. */
const whileOffline = 5 * 60_000
/** Entries of earlier sessions that the diary keeps. */
const keptEntries = 200

/** The tries of one socket since a session of it last worked. */
interface Tries {
  failed: number
  openedAt: number
  /** The entries of the sessions before the present one. */
  earlier: readonly DiaryEntry[]
}

const tries = new WeakMap<object, Tries>()

/** The platform of a class whose sockets begin again. */
export function reopeningOn(platform: Platform): Platform {
  return { ...platform, reopen: reopened }
}

/** To be called for each new socket. */
export function watchOpen(socket: object): void {
  const own: Tries = { failed: 0, openedAt: 0, earlier: [] }
  tries.set(socket, own)
  // Not the socket's own method: in Node that counts the application's listeners.
  EventTarget.prototype.addEventListener.call(socket, 'open', () => {
    own.openedAt = performance.now()
  })
}

/** The entries of earlier sessions, and those of the present one. */
export function wholeDiary(socket: object, present: readonly DiaryEntry[]): DiaryEntry[] {
  return [...(tries.get(socket)?.earlier ?? []), ...present]
}

const reopened: NonNullable<Platform['reopen']> = (socket, close, options, go) => {
  const own = tries.get(socket)
  // With a `readyState` from 2 on the application has asked for the end. A socket that ends while it is being constructed has no entry.
  if (!own || socket.readyState > 1) return undefined
  const { minDelay, maxDelay, maxRetries, codes } = { ...defaults, ...given(options) }
  if (own.openedAt && performance.now() - own.openedAt >= workedFor) own.failed = 0
  own.openedAt = 0
  // The function `codes` may have closed the socket.
  if (!isWanted(codes, close) || socket.readyState > 1 || own.failed >= maxRetries) return undefined
  const longest = Math.min(maxDelay, minDelay * 2 ** own.failed++)
  own.earlier = socket.diary.slice(-keptEntries)
  let over = false
  const stop = waitFor(longest * (0.5 + Math.random() / 2), () => {
    over = true
    go(true)
  })
  return {
    diary: { entries: [] },
    transport: null,
    close() {
      // The next session is being made already: the class closes that one.
      if (over) return
      stop()
      go(false)
    },
  }
}

function isWanted(codes: Checked['codes'], close: CloseEventInit): boolean {
  if (typeof codes !== 'function') return codes.includes(close.code)
  try {
    return codes({ ...close })
  } catch (error) {
    // An exception of the application: the socket closes, and the runtime reports the error.
    setTimeout(() => {
      throw error
    })
    return false
  }
}

/** Calls `then` after the delay, at once when the browser comes online, and rarely while it is offline. Returns how to stop it. */
function waitFor(delay: number, then: () => void): () => void {
  const { navigator } = globalThis
  const offline = (): boolean => navigator?.onLine === false
  const stop = (): void => {
    clearTimeout(timer)
    globalThis.removeEventListener?.('online', begin)
  }
  const begin = (): void => {
    stop()
    then()
  }
  const wentOffline = (): void => {
    if (offline()) timer = setTimeout(begin, whileOffline)
    else begin()
  }
  let timer = setTimeout(wentOffline, delay)
  globalThis.addEventListener?.('online', begin)
  return stop
}

/** Finds the options, which may stand in place of the protocols. Throws a TypeError that names what is wrong in `reopen`. */
export function checkReopen(second: unknown, third: unknown): void {
  const isOptions = Object(second) === second && !(Symbol.iterator in (second as object))
  const reopen: unknown = given(((isOptions ? second : third) ?? {}) as WebSocketOptions)
  if (Object(reopen) !== reopen || Array.isArray(reopen))
    throw new TypeError('The option "reopen" must be an object')
  for (const [name, value] of Object.entries(reopen as object)) checkOne(name, value)
  const { minDelay, maxDelay } = { ...defaults, ...(reopen as Partial<Checked>) }
  if (minDelay > maxDelay)
    throw new TypeError('The option "reopen.minDelay" must not be more than "reopen.maxDelay"')
}

function checkOne(name: string, value: unknown): void {
  if (!Object.hasOwn(defaults, name))
    throw new TypeError(`Unknown option "reopen.${name}": use ${Object.keys(defaults).join(', ')}`)
  if (name === 'codes') {
    const isList = Array.isArray(value) && value.every((code) => Number.isInteger(code))
    if (!isList && typeof value !== 'function')
      throw new TypeError('The option "reopen.codes" must be a list of close codes or a function')
  } else if (typeof value !== 'number' || !(value >= 0))
    throw new TypeError(`The option "reopen.${name}" must be a number of at least 0`)
  else if (name !== 'maxRetries' && value > longestTimer)
    throw new TypeError(`The option "reopen.${name}" must be at most ${longestTimer}`)
}

/** A timer waits for no longer than this. */
const longestTimer = 2 ** 31 - 1

/** The given option `reopen`, without members that are undefined. */
function given(options: WebSocketOptions & WithReopen): Partial<Checked> {
  const { reopen = {} } = options
  if (Object(reopen) !== reopen || Array.isArray(reopen)) return reopen as Partial<Checked>
  return Object.fromEntries(Object.entries(reopen).filter(([, value]) => value !== undefined))
}
