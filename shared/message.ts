/**
 * What travels in a session's numbered queue. A message is made once and never changed, so one object can stand
 * in the queues of a thousand sessions (a publication does); `encoded` and `frame` remember its form on the wire.
 */
import { CloseCode } from './codes.ts'
import { decodeText, encodeText } from './text.ts'

export interface Message {
  readonly kind: 'text' | 'binary' | 'close'
  /** Text is a string in a browser and may be UTF-8 bytes on a server; the reason if this is a close. */
  readonly data: string | Uint8Array
  /** Bytes of payload: for text, of its UTF-8. A close has none that its application has sent. */
  readonly size: number
  /** For a close: its code, 1005 for none. */
  readonly code: number
  /** The payload as HTTP carries it, made when the first such carrier asks. */
  encoded: Uint8Array | undefined
  /** The whole frame as WebSocket carries it, made when the first such carrier asks and more than one will. */
  frame: Uint8Array | undefined
  /** Of a message for many: in how many queues it is. */
  shared: { holders: number } | undefined
}

export function textMessage(data: string | Uint8Array, size: number): Message {
  return make('text', data, size)
}

export function binaryMessage(data: Uint8Array): Message {
  return make('binary', data, data.length)
}

export function closeMessage(code: number, reason: string): Message {
  return make('close', reason, 0, code)
}

function make(kind: Message['kind'], data: string | Uint8Array, size: number, code = 0): Message {
  return { kind, data, size, code, encoded: undefined, frame: undefined, shared: undefined }
}

/** What travels of it where messages are bytes. */
export function payloadOf(message: Message): Uint8Array {
  const { kind, data, code } = message
  message.encoded ??=
    kind === 'close' ? closePayload(code, data as string) : typeof data === 'string' ? encodeText(data) : data
  return message.encoded
}

/** As in a WebSocket's close frame: nothing, or two bytes of code and a reason. */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = encodeText(`xx${reason}`)
  text[0] = code >> 8
  text[1] = code & 0xff
  return code === CloseCode.noStatus ? text.subarray(0, 0) : text
}

/** The code is 0 if there is not all of it, the reason undefined if it is not UTF-8. */
export function readClosePayload(payload: Uint8Array): { code: number; reason: string | undefined } {
  const [high, low] = payload
  const code = high === undefined ? CloseCode.noStatus : low === undefined ? 0 : (high << 8) | low
  return { code, reason: decodeText(payload.subarray(2)) }
}
