/** The faults a network can have, and their values when there are none. */

export interface Faults {
  /**
   * New TCP connections. `'refuse'`: reset as soon as they come. `'swallow'`: taken, and nothing ever comes back.
   * Off: `'pass'`.
   */
  connections: 'pass' | 'refuse' | 'swallow'
  /**
   * WebSocket handshakes. A number: answered with this status. `'redirect'`: with 302. `'page'`: with 200 and a page of
   * HTML. `'swallow'`: never answered. `'mute'`: the 101 passes and then nothing more, or nothing more in one direction.
   * Off: `'pass'`.
   */
  upgrade: 'pass' | number | 'redirect' | 'page' | 'swallow' | 'mute' | 'mute to server' | 'mute to client'
  /**
   * Each WebSocket is reset so many milliseconds after its 101 (one that is open already: after it is switched on, if that
   * is later); of two numbers, after some time between them. Off: `Infinity`.
   */
  cutWebSockets: number | readonly [min: number, max: number]
  /** A connection on which nothing passed for so many milliseconds is reset, whatever it is used for. Off: `Infinity`. */
  idleLimit: number
  /**
   * An answer that is not complete so many milliseconds after its request: the connection is reset, or, if nothing of
   * the answer has passed yet, answered with 504 and a page of HTML. Not for WebSockets. Off: `Infinity`.
   */
  answerLimit: number
  /**
   * An answer is passed on only once it is complete (`true`), or in pieces of so many bytes, and the rest once it is complete,
   * as by a gateway with buffers of that size. Not for WebSockets.
   */
  buffer: boolean | number
  /** At this rate (0 to 1) a request reaches the server, and the connection is reset before a byte of its answer. */
  loseAnswers: number
  /** At this rate a POST reaches the server twice, over two connections; the client gets one of the two answers. */
  repeatPosts: number
  /**
   * At this rate a POST is held back until a later one has reached the server, but for no longer than so many milliseconds
   * (1000 unless given).
   */
  overtake: number | readonly [rate: number, within: number]
  /** Requests with a larger body, in bytes, are answered with 413 and a page of HTML. Off: `Infinity`. */
  maxBody: number
  /** Headers that no standard knows are removed, both ways; methods other than GET and POST are answered with 405. */
  strip: boolean
  /** Answers are compressed for clients that accept gzip; what has come is flushed each time. */
  gzip: boolean
  /** At this rate a request is not passed on, but answered with 502, 503 or 504 and a page of HTML. */
  errorPages: number
  /**
   * Every request is answered by a page to sign in: with 200 (`true`, `'page'`), or with 302 to one (`'redirect'`).
   * Handshakes too.
   */
  captive: boolean | 'page' | 'redirect'
  /** So many bytes a second each way, for all connections together. Off: `Infinity`. */
  bandwidth: number
  /** Everything takes so many milliseconds longer, each way. So a connection's own handshake takes two of them. */
  delay: number
  /** And some time between 0 and this. What was sent first arrives first. */
  jitter: number
  /**
   * At this rate a chunk is "lost": as with TCP it arrives a retransmission later (four times `delay`, at least 200 ms), and
   * what is behind it waits.
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

/** Throws for a fault that there is not, or a value that it cannot have. */
export function checkFaults(faults: Partial<Faults>): void {
  for (const [name, value] of Object.entries(faults)) {
    if (!Object.hasOwn(allows, name)) throw new TypeError(`Unknown fault '${name}'`)
    if (!allows[name as keyof Faults](value)) {
      throw new TypeError(`Invalid value ${JSON.stringify(value) ?? value} for the fault '${name}'`)
    }
  }
}
