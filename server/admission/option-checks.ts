/** Checks the options of a server: an invalid one throws, and the message names it. */
import { createGzip } from 'node:zlib'
import { isWireCode } from '../../shared/codes.ts'

/** Throws if the value is invalid for the option of this name. */
export type Check = (value: unknown, name: string) => void

export const number: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 0))
    throw new RangeError(`The option "${name}" must be a number of at least 0`)
}
const positive: Check = (value, name) => {
  if (typeof value !== 'number' || !(value > 0))
    throw new RangeError(`The option "${name}" must be a number above 0`)
}
export const boolean: Check = is('boolean', 'true or false')
export const string: Check = is('string', 'a string')
export const callable: Check = is('function', 'a function')

/** A boolean, or the code for a close. */
export const closeCode: Check = (value, name) => {
  if (typeof value !== 'boolean' && !(typeof value === 'number' && isWireCode(value)))
    throw new TypeError(`The option "${name}" must be true, false or a close code, for example 4401`)
}

/** A port, as Node takes it: also a string, as environment variables are. */
export const port: Check = (value, name) => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (!Number.isInteger(number) || (number as number) < 0 || (number as number) > 65_535)
    throw new RangeError(`The option "${name}" must be a number from 0 to 65535`)
}

export const httpServer: Check = (value, name) => {
  const { on, emit } = Object(value) as Record<string, unknown>
  if (typeof on !== 'function' || typeof emit !== 'function')
    throw new TypeError(`The option "${name}" must be an HTTP server of Node`)
}

export const recover: Check = (value, name) => {
  if (typeof value !== 'boolean' && typeof value !== 'function')
    throw new TypeError(`The option "${name}" must be true, false or a function`)
}

export const cluster: Check = (value, name) => {
  if (typeof (Object(value) as Record<string, unknown>).join !== 'function')
    throw new TypeError(
      `The option "${name}" must be a cluster, as redisCluster() of everwire/redis makes it`,
    )
}

/** The size of zlib's window; `true` leaves it to the other end. */
const windowBits: Check = (value, name) => {
  if (
    typeof value === 'boolean' ||
    (Number.isInteger(value) && (value as number) >= 8 && (value as number) <= 15)
  )
    return
  throw new RangeError(`The option "${name}" must be a whole number from 8 to 15, or a boolean`)
}

const zlibOptions: Check = (value, name) => {
  if (!isObject(value)) throw new TypeError(`The option "${name}" must be an object with zlib's options`)
}

export const perMessageDeflate: Check = orBoolean(
  group({
    serverNoContextTakeover: boolean,
    clientNoContextTakeover: boolean,
    serverMaxWindowBits: windowBits,
    clientMaxWindowBits: windowBits,
    zlibDeflateOptions: zlibOptions,
    zlibInflateOptions: zlibOptions,
    threshold: number,
    concurrencyLimit: positive,
  }),
)

const gzipNames = ['flush', 'finishFlush', 'chunkSize', 'windowBits', 'level', 'memLevel', 'strategy']
/** zlib itself checks the values of its options. */
const gzipChecks = Object.fromEntries(
  ['threshold', ...gzipNames, 'dictionary', 'info', 'maxOutputLength'].map((name) => [name, anything]),
)

export const httpCompression: Check = (value, name) => {
  if (typeof value === 'boolean') return
  group(gzipChecks)(value, name)
  const { threshold = 0, ...zlib } = value as { threshold?: unknown }
  number(threshold, `${name}.threshold`)
  try {
    createGzip(zlib).close()
  } catch (error) {
    throw new RangeError(`The option "${name}": ${(error as Error).message}`)
  }
}

/** Returns the options that have a value; as in `ws`, null is none for its options. Throws if one is unknown or invalid. */
export function checkOptions<Given extends object>(
  given: Given,
  known: Readonly<Record<keyof Given, Check>>,
  ofWs: Readonly<Record<string, Check>>,
): Given {
  if (!isObject(given)) throw new TypeError('The options of a server must be an object')
  const said = Object.entries(given).filter(
    ([name, value]) => value !== undefined && !(value === null && Object.hasOwn(ofWs, name)),
  )
  checkEach(said, known, '')
  return Object.fromEntries(said) as Given
}

/** Checks the options of a call. `what`: the call, for the message. */
export function checkObject(given: object, known: Readonly<Record<string, Check>>, what: string): void {
  if (!isObject(given)) throw new TypeError(`The options of ${what} must be an object`)
  checkEach(
    Object.entries(given).filter(([, value]) => value !== undefined),
    known,
    '',
  )
}

function checkEach(
  said: readonly (readonly [string, unknown])[],
  known: Readonly<Record<string, Check>>,
  prefix: string,
): void {
  for (const [name, value] of said) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined
    if (check === undefined) throw new TypeError(unknownName(name, Object.keys(known), prefix))
    check(value, prefix + name)
  }
}

export const rateLimit: Check = group({ messages: positive, per: positive }, 'messages')

export const statusPage: Check = group({ addresses: boolean })

/** Checks an option that has options of its own. */
export function group(known: Readonly<Record<string, Check>>, required?: string): Check {
  return (value, name) => {
    if (!isObject(value)) throw new TypeError(`The option "${name}" must be an object`)
    const said = Object.entries(value).filter(([, one]) => one !== undefined)
    if (required !== undefined && !said.some(([one]) => one === required))
      throw new TypeError(`The option "${name}" needs "${required}"`)
    checkEach(said, known, `${name}.`)
  }
}

function orBoolean(check: Check): Check {
  return (value, name) => {
    if (typeof value !== 'boolean') check(value, name)
  }
}

function is(type: 'boolean' | 'string' | 'function', words: string): Check {
  return (value, name) => {
    if (typeof value !== type) throw new TypeError(`The option "${name}" must be ${words}`)
  }
}

function anything(): void {}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unknownName(name: string, known: readonly string[], prefix: string): string {
  const near = known.map((one) => ({ one, far: distance(name.toLowerCase(), one.toLowerCase()) }))
  const [best] = near.sort((a, b) => a.far - b.far)
  const close = best !== undefined && best.far <= Math.max(1, Math.floor(name.length / 3))
  return `Unknown option "${prefix}${name}"${close ? `; did you mean "${prefix}${best.one}"?` : ''}`
}

/** The number of letters to insert, remove, change, or swap with the next, to make `b` of `a`. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : changed
      ;(rows[i] as number[])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, changed, swapped)
    }
  }
  return at(a.length, b.length)
}
