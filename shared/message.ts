/**
 * What travels in a session's numbered queue. A message is made once and never changed, so one object can stand
 * in the queues of a thousand sessions (a publication does); `encoded` and `frame` remember its form on the wire.
 */
export interface Message {
  readonly kind: 'text' | 'binary' | 'close'
  /** Text is a string in a browser and may be UTF-8 bytes on a server; the reason if this is a close. */
  readonly data: string | Uint8Array
  /** Bytes of payload: for text, of its UTF-8. */
  readonly size: number
  /** For a close: its code, 1005 for none. */
  readonly code: number
  /** The payload as HTTP carries it, made when the first such carrier asks. */
  encoded: Uint8Array | undefined
  /** The whole frame as WebSocket carries it, made when the first such carrier asks and more than one will. */
  frame: Uint8Array | undefined
}

export function textMessage(data: string | Uint8Array, size: number): Message {
  return { kind: 'text', data, size, code: 0, encoded: undefined, frame: undefined }
}

export function binaryMessage(data: Uint8Array): Message {
  return { kind: 'binary', data, size: data.byteLength, code: 0, encoded: undefined, frame: undefined }
}

export function closeMessage(code: number, reason: string): Message {
  return { kind: 'close', data: reason, size: reason.length, code, encoded: undefined, frame: undefined }
}
