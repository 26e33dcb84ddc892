/**
 * A message in a session's queue. Nobody changes a message after it was made, so one object can be in the queues of a thousand
 * sessions: `publish` needs that. `encoded` and `frame` keep its form on the wire, so that it is made once.
 */
import { CloseCode } from './codes.ts'
import { encodeText } from './text.ts'

export type MessageKind = 'text' | 'binary' | 'close'

export interface Message {
  readonly kind: MessageKind
  /** Text: a string, or on a server UTF-8 bytes. Binary: bytes. Close: its payload, the code and the reason. */
  readonly data: string | Uint8Array
  /** The bytes of its payload, for text those of its UTF-8. A close counts 0: no application sent its bytes as a message. */
  readonly size: number
  /** The payload as HTTP carries it, made for the first HTTP carrier. */
  encoded: Uint8Array | undefined
  /** The whole frame as a WebSocket carries it, made for the first WebSocket if more than one session has the message. */
  frame: Uint8Array | undefined
  /** Only of a message for many sessions: the number of queues that hold it. */
  shared: { holders: number } | undefined
}

export function textMessage(data: string | Uint8Array, size: number): Message {
  return make('text', data, size)
}

export function binaryMessage(data: Uint8Array): Message {
  return make('binary', data, data.length)
}

export function closeMessage(code: number, reason: string): Message {
  return make('close', endPayload(code, reason), 0)
}

/** Stands for a message that was acknowledged before this carrier sent it: the receiver counts the messages of a carrier. */
export const blank: Message = binaryMessage(new Uint8Array(0))

function make(kind: Message['kind'], data: string | Uint8Array, size: number): Message {
  return { kind, data, size, encoded: undefined, frame: undefined, shared: undefined }
}

/** The payload as bytes. */
export function payloadOf(message: Message): Uint8Array {
  const { data } = message
  message.encoded ??= typeof data === 'string' ? encodeText(data) : data
  return message.encoded
}

/** The payload of a close or an abort. */
export function endPayload(code: number, reason: string): string {
  return code === CloseCode.noStatus ? '' : `${code},${reason}`
}

/** Reads the payload of a close or an abort. `readControl` has checked its form. */
export function readEnd(payload: string): { code: number; reason: string } {
  return { code: payload ? +payload.slice(0, 4) : CloseCode.noStatus, reason: payload.slice(5) }
}
