/**
 * What travels in a session's numbered queue. A message is made once and never changed, so one object can stand
 * in the queues of a thousand sessions (a publication does); `encoded` and `frame` remember its form on the wire.
 */
import { CloseCode } from './codes.ts'
import { encodeText } from './text.ts'

export type MessageKind = 'text' | 'binary' | 'close'

export interface Message {
  readonly kind: MessageKind
  /** Text is a string in a browser and may be UTF-8 bytes on a server; of a close its payload, code and reason. */
  readonly data: string | Uint8Array
  /** Bytes of payload: for text, of its UTF-8. A close has none that its application has sent. */
  readonly size: number
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
  return make('close', endPayload(code, reason), 0)
}

/** Stands for a message that was acknowledged before this carrier sent it: the receiver counts the messages of a carrier. */
export const blank: Message = binaryMessage(new Uint8Array(0))

function make(kind: Message['kind'], data: string | Uint8Array, size: number): Message {
  return { kind, data, size, encoded: undefined, frame: undefined, shared: undefined }
}

/** What travels of it where messages are bytes. */
export function payloadOf(message: Message): Uint8Array {
  const { data } = message
  message.encoded ??= typeof data === 'string' ? encodeText(data) : data
  return message.encoded
}

/** The payload of a close or an abort. */
export function endPayload(code: number, reason: string): string {
  return code === CloseCode.noStatus ? '' : `${code},${reason}`
}

/** What a payload says that `readControl` has found to be a close's or an abort's. */
export function readEnd(payload: string): { code: number; reason: string } {
  return { code: payload ? +payload.slice(0, 4) : CloseCode.noStatus, reason: payload.slice(5) }
}
