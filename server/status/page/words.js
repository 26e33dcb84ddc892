// Numbers and reasons in words.

export const transports = /** @type {const} */ (['websocket', 'stream', 'sse', 'polling'])

/** @type {Readonly<Record<string, string>>} */
export const transportNames = {
  websocket: 'WebSocket',
  stream: 'Streaming',
  sse: 'Event stream',
  polling: 'Long-polling',
}

/**
 * Why clients are gone, in the server's words: it tells them when the page opens its socket.
 * @type {Map<string, string>}
 */
export const reasons = new Map()

/** Ends that are nobody's fault. */
export const ordinary = new Set(['client', 'left', 'server', 'handedOver'])

/** @type {Readonly<Record<string, string>>} */
export const statuses = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Origin or host not allowed',
  404: 'Unknown ticket',
  405: 'Wrong method',
  413: 'Too large',
  421: 'Its session is elsewhere',
  426: 'Not a WebSocket handshake',
  429: 'Too many from one address',
  500: 'The application failed',
  503: 'Full, closing or too slow',
}

const whole = new Intl.NumberFormat('en')
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** @param {number} value */
export const count = (value) => (value < 100_000 ? whole.format(value) : compact.format(value))

/**
 * A number a second: small ones need a digit after the point.
 * @param {number} value
 */
export const rate = (value) => (value > 0 && value < 10 ? one.format(value) : count(Math.round(value)))

/** @param {number} value */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let size = value
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : one.format(size)} ${units[unit]}`
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = ms / 1_000
  if (seconds < 60) return `${seconds < 10 ? one.format(seconds) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}

/**
 * How long ago; the seconds of less than a minute would only flicker.
 * @param {number} ms
 */
export const ago = (ms) => (ms < 60_000 ? 'just now' : `${duration(ms)} ago`)

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const date = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})

/** @param {number} at */
export const time = (at) => clock.format(at)

/** @param {number} at */
export const day = (at) => date.format(at)

/**
 * @param {number} n
 * @param {string} noun
 * @param {string} [many]
 */
export const some = (n, noun, many = `${noun}s`) => `${count(n)} ${n === 1 ? noun : many}`
