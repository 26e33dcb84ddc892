/** Close codes: which exist, which an application may send, and which everwire itself uses. */

/** The codes of RFC 6455, section 7.4.1, and of IANA's registry, that everwire itself uses. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  noStatus: 1005,
  lost: 1006,
  badText: 1007,
  policy: 1008,
  tooBig: 1009,
  serverError: 1011,
  tryAgainLater: 1013,
} as const

/** The longest reason that fits into a WebSocket close frame, in bytes of UTF-8. */
export const maxReasonBytes = 123

/** WHATWG: the codes that `close(code)` of a client takes. */
export function isClientCode(code: number): boolean {
  return code === 1000 || (code >= 3000 && code <= 4999)
}

/** The codes that a close frame may have on the wire: those of RFC 6455 and IANA, 3000-3999 and 4000-4999. */
export function isWireCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code <= 4999)
  )
}
