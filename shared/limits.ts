/** Every limit and every pause both ends know, with its default. Times in milliseconds, sizes in bytes. */
export interface Limits {
  /** How long a session lives without a carrier. */
  readonly patience: number
  /** So long after this end's own close the session ends, whatever the other end does. By default after `patience`, and what it takes to send what waits. */
  readonly closeTimeout?: number
  /** How often this end asks whether the other is there; 0: never (the client leaves it to the server). */
  readonly pingInterval?: number
  /** How long nothing at all may arrive over a carrier before this end asks, and then `grace` more before it gives it up. */
  readonly silence: number
  /** What is left to answer after the last question. */
  readonly grace: number
  /** Bytes of unacknowledged messages kept for replay, and 64 for each. A single message is always taken when nothing waits. */
  readonly maxBuffered: number
  /** The largest message this end accepts. */
  readonly maxPayload: number
}

export const defaultLimits: Limits = {
  patience: 30_000,
  silence: 20_000,
  grace: 5_000,
  maxBuffered: 64 * 1024 * 1024,
  maxPayload: 100 * 1024 * 1024,
}

/** An acknowledgement is owed so long after the first message that has none, where it is one small frame. */
export const ackDelay = 250
/** An acknowledgement is owed so long after the first message that has none, where it is a request of its own. */
export const ackDelayByRequest = 5_000

/** The bytes that a queued message is counted with, beside its payload. */
export const overhead = 64

/** What waits to be sent when an end closes takes a millisecond for so many bytes, on a slow line. */
export const closePace = 16

/** The server's heartbeat: also how long it holds a long-poll, so that on every carrier something arrives this often. */
export const defaultHeartbeat = 15_000

/** The largest body of one request. Well below the 1 MiB that nginx takes by default. */
export const defaultMaxBody: number = 1024 * 1024
/** With less there is hardly room for the head of a request, and no message gets through. */
export const leastMaxBody = 256
/** No body has more records: each costs more than its bytes. */
export const maxRecords = 4096
/** No record is larger: messages that are go in pieces. */
export const maxRecord: number = 1024 * 1024
/** Nothing that a server says beside messages is longer, in bytes or characters: what is, is not read to its end. */
export const maxControl: number = 16 * 1024
/** A token has at most so many bytes: in base64 it must fit into a header, for which proxies have 8 KiB. */
export const maxToken = 4096
export const defaultPiece: number = 256 * 1024
