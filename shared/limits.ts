/** The limits of a session. Times are in milliseconds, sizes in bytes. */
export interface Limits {
  /** How long a session lives without a carrier. */
  readonly patience: number
  /**
   * The session ends this long after its own close, whatever the other end does. Default: `patience`, and the time to send
   * the messages that wait.
   */
  readonly closeTimeout?: number
  /** How often this end asks whether the other end is there. Default: never, as the client leaves it to the server. */
  readonly pingInterval?: number
  /** A carrier may be silent for this long. Then this end asks over it, waits for `grace`, and gives the carrier up. */
  readonly silence: number
  /** How long the answer to that question may take. */
  readonly grace: number
  /** The bytes of unacknowledged messages, and 64 for each. If no message waits, one is taken however large it is. */
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

/** On a WebSocket an acknowledgement is a small frame: it is due this long after the first message that it is for. */
export const ackDelay = 250
/** A client's acknowledgement may come later: the server does not doubt a carrier for it, and one frame is for all messages of a second. */
export const ackDelayOfClient = 1_000
/** Over HTTP an acknowledgement may need a request of its own, so it is due later: usually another request brings it before. */
export const ackDelayByRequest = 5_000

/** The bytes that a queued message is counted with, beside its payload. */
export const overhead = 64

/** The bytes that a slow line carries in a millisecond: so much time is given to the messages that wait when an end closes. */
export const closePace = 16
/** The answer to a close may take this long where `patience` is shorter: that is about lost connections. */
export const closePatience = 10_000

/** The server says something at least this often. It also holds a long-poll for no longer. */
export const defaultHeartbeat = 15_000

/** The largest body of one request: what nginx takes by default. */
export const defaultMaxBody: number = 1024 * 1024
/** The smallest such limit. With less, the head of a request leaves no room for a message. */
export const leastMaxBody = 256
/** The most records of one body: a record costs more than its bytes. */
export const maxRecords = 4096
/** The largest record. A larger message travels in pieces. */
export const maxRecord: number = 1024 * 1024
/** The longest control of a server, in bytes or characters. A reader does not read further. */
export const maxControl: number = 16 * 1024
/** A token has at most so many bytes: in base64 it must fit into a header, for which proxies have 8 KiB. */
export const maxToken = 4096
export const defaultPiece: number = 256 * 1024
