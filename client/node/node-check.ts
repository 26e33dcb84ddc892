/** Checks the options of a client: an invalid one throws. Options only for the WebSocket below are left to `ws`. */
import { hasEntries } from '../base/asked-headers.ts'
import { allTransports } from '../socket/websocket-class.ts'

const times = ['patience', 'connectTimeout', 'handshakeTimeout', 'maxBuffered', 'maxPayload']
const switches = ['session', 'remember', 'autoPong', 'followRedirects', 'skipUTF8Validation']
/** Names that only everwire has. Other names may belong to TLS or sockets, to which `ws` passes its options on. */
const own = [
  'session',
  'transports',
  'patience',
  'raceDelay',
  'reconnectionDelay',
  'connectTimeout',
  'maxBuffered',
  'maxPayload',
  'remember',
  'token',
  'proxy',
]
const delays = { raceDelay: ['start', 'min', 'max'], reconnectionDelay: ['min', 'max'] }

/** Throws if an option is invalid; the message names it. */
export function checkOptions(options: object): void {
  const all = Object.entries(options).filter(([, value]) => value !== undefined)
  for (const [name, value] of all) {
    if (times.includes(name)) checkNumber(name, value)
    // The option `session` of TLS is the data of a session to resume.
    else if (switches.includes(name) && typeof value !== 'boolean' && !(value instanceof Uint8Array))
      throw new TypeError(`The option "${name}" must be true or false`)
    else if (name === 'token' || name === 'headers') checkAsked(name, value, options)
    else if (name === 'transports') checkTransports(value)
    else if (name === 'raceDelay' || name === 'reconnectionDelay') checkDelay(name, value)
    else {
      const meant = own.find((one) => one !== name && isNear(one, name))
      if (meant && !own.includes(name))
        throw new TypeError(`Unknown option "${name}"; did you mean "${meant}"?`)
    }
  }
}

/** A function is asked before a connection is made. Without a session the one connection is made at once. */
function checkAsked(name: 'token' | 'headers', value: unknown, { session }: { session?: unknown }): void {
  const isToken = name === 'token'
  if (session === false && isToken)
    throw new TypeError('The option "token" is for sessions, not with session: false')
  if (typeof value === 'function') {
    if (session === false)
      throw new TypeError('The option "headers" may be a function only for sessions, not with session: false')
  } else if (!isToken && typeof value === 'object' && hasEntries(value))
    throw new TypeError('The option "headers" must be a plain object: Object.fromEntries(headers) makes one')
  else if (value !== null && !(isToken ? typeof value === 'string' : Object(value) === value))
    throw new TypeError(`The option "${name}" must be ${isToken ? 'a string' : 'an object'} or a function`)
}

function checkNumber(name: string, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`The option "${name}" must be a number`)
  if (!(value >= 0)) throw new RangeError(`The option "${name}" must be at least 0`)
}

function checkTransports(value: unknown): void {
  if (!Array.isArray(value) || value.length === 0)
    throw new TypeError('The option "transports" must be a list of at least one transport')
  const unknown = value.find((name) => !(allTransports as readonly unknown[]).includes(name))
  if (unknown !== undefined)
    throw new TypeError(
      `The option "transports" has the unknown transport '${unknown}': use ${oneOf(allTransports)}`,
    )
}

function checkDelay(option: keyof typeof delays, value: unknown): void {
  if (Object(value) !== value || Array.isArray(value)) {
    if (option === 'reconnectionDelay')
      throw new TypeError(`The option "${option}" must be an object: { min, max }`)
    checkNumber(option, value)
    return
  }
  for (const [name, delay] of Object.entries(value as object)) {
    if (!delays[option].includes(name))
      throw new TypeError(`Unknown option "${option}.${name}": use ${oneOf(delays[option])}`)
    if (delay !== undefined) checkNumber(`${option}.${name}`, delay)
  }
}

function oneOf(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** Whether two names differ by at most two letters, or only in upper and lower case. */
function isNear(one: string, other: string): boolean {
  if (one.toLowerCase() === other.toLowerCase()) return true
  if (Math.abs(one.length - other.length) > 2) return false
  let row = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same))
    }
    row = next
  }
  return (row.at(-1) as number) <= 2
}
