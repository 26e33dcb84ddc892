/** The faults that a network can have, and their values when they are off. */

export interface Faults {
  /**
   * What happens to new TCP connections. `'refuse'`: they are reset at once. `'swallow'`: they are accepted, and nothing ever
   * comes back. Off: `'pass'`.
   */
  connections: 'pass' | 'refuse' | 'swallow'
  /**
   * What happens to WebSocket handshakes. A number: they are answered with this status. `'redirect'`: with 302. `'page'`: with
   * 200 and an HTML page. `'swallow'`: they are never answered. `'mute'`: the 101 passes, and then nothing in both directions,
   * or in the named one. Off: `'pass'`.
   */
  upgrade: 'pass' | number | 'redirect' | 'page' | 'swallow' | 'mute' | 'mute to server' | 'mute to client'
  /**
   * Each WebSocket is reset this many milliseconds after its 101 (one that is already open: after the fault is switched on,
   * if that is later). With two numbers: after a random time between them. Off: `Infinity`.
   */
  cutWebSockets: number | readonly [min: number, max: number]
  /** A connection on which nothing passes for this many milliseconds is reset, whatever its use. Off: `Infinity`. */
  idleLimit: number
  /**
   * An answer that is not complete this many milliseconds after its request: the connection is reset or, if nothing of the
   * answer has passed yet, the request is answered with 504 and an HTML page. Not for WebSockets. Off: `Infinity`.
   */
  answerLimit: number
  /**
   * An answer is passed on only when it is complete (`true`), or in pieces of this many bytes and the rest when it is
   * complete, as by a gateway with buffers of that size. Not for WebSockets.
   */
  buffer: boolean | number
  /** Rate (0 to 1) of requests that reach the server, but whose connection is reset before the first byte of the answer. */
  loseAnswers: number
  /** Rate of POSTs that reach the server twice, over two connections; the client gets one of the two answers. */
  repeatPosts: number
  /**
   * Rate of POSTs that are held back until a later one has reached the server, but at most for `within` milliseconds
   * (1000 by default).
   */
  overtake: number | readonly [rate: number, within: number]
  /** Requests with a larger body, in bytes, are answered with 413 and an HTML page. Off: `Infinity`. */
  maxBody: number
  /** Headers that are in no standard are removed, in both directions; methods other than GET and POST are answered with 405. */
  strip: boolean
  /** Answers are compressed for clients that accept gzip, and flushed after each piece of the server's. */
  gzip: boolean
  /** Rate of requests that do not reach the server, but are answered with 502, 503 or 504 and an HTML page. */
  errorPages: number
  /**
   * Every request and handshake is answered with a sign-in page: with 200 (`true`, `'page'`), or with 302 to one
   * (`'redirect'`).
   */
  captive: boolean | 'page' | 'redirect'
  /** Bytes per second in each direction, for all connections together. Off: `Infinity`. */
  bandwidth: number
  /** All data takes this many milliseconds longer, in each direction. A connection's own handshake takes twice as long. */
  delay: number
  /** All data takes a random time between 0 and this longer, in milliseconds. The order of the data does not change. */
  jitter: number
  /**
   * Rate of chunks that are "lost": as with TCP they arrive a retransmission later (four times `delay`, at least 200 ms),
   * and the chunks behind them wait.
   */
  loss: number
}

export const noFaults: Readonly<Faults> = {
  connections: 'pass',
  upgrade: 'pass',
  cutWebSockets: Number.POSITIVE_INFINITY,
  idleLimit: Number.POSITIVE_INFINITY,
  answerLimit: Number.POSITIVE_INFINITY,
  buffer: false,
  loseAnswers: 0,
  repeatPosts: 0,
  overtake: 0,
  maxBody: Number.POSITIVE_INFINITY,
  strip: false,
  gzip: false,
  errorPages: 0,
  captive: false,
  bandwidth: Number.POSITIVE_INFINITY,
  delay: 0,
  jitter: 0,
  loss: 0,
}

const oneOf =
  (...allowed: readonly unknown[]) =>
  (value: unknown): boolean =>
    allowed.includes(value)
const amount = (value: unknown): boolean => typeof value === 'number' && value >= 0
const time = (value: unknown): boolean => amount(value) && value !== Number.POSITIVE_INFINITY
const rate = (value: unknown): boolean => amount(value) && (value as number) <= 1
const pair = (value: unknown, first: (v: unknown) => boolean, second: (v: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length === 2 && first(value[0]) && second(value[1])
const status = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 200 && (value as number) <= 599
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'

const upgradeWords = oneOf('pass', 'redirect', 'page', 'swallow', 'mute', 'mute to server', 'mute to client')

const allows: Readonly<Record<keyof Faults, (value: unknown) => boolean>> = {
  connections: oneOf('pass', 'refuse', 'swallow'),
  upgrade: (value) => upgradeWords(value) || status(value),
  cutWebSockets: (value) => amount(value) || (pair(value, time, time) && inOrder(value)),
  idleLimit: amount,
  answerLimit: amount,
  buffer: (value) => isBoolean(value) || (amount(value) && value !== 0),
  loseAnswers: rate,
  repeatPosts: rate,
  overtake: (value) => rate(value) || pair(value, rate, time),
  maxBody: amount,
  strip: isBoolean,
  gzip: isBoolean,
  errorPages: rate,
  captive: oneOf(false, true, 'page', 'redirect'),
  bandwidth: (value) => amount(value) && value !== 0,
  delay: time,
  jitter: time,
  loss: rate,
}

function inOrder(value: unknown): boolean {
  const [min, max] = value as [number, number]
  return min <= max
}

/** Throws if a fault is unknown or its value is invalid. */
export function checkFaults(faults: Partial<Faults>): void {
  for (const [name, value] of Object.entries(faults)) {
    if (!Object.hasOwn(allows, name)) throw new TypeError(`Unknown fault '${name}'`)
    if (!allows[name as keyof Faults](value)) {
      throw new TypeError(`Invalid value ${JSON.stringify(value) ?? value} for the fault '${name}'`)
    }
  }
}
