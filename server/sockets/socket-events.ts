/** The events of a socket, and the functions that it calls back. */
import type { Transport } from './carrier.ts'
import type { RawData } from './data.ts'

export type SendCallback = (error?: Error) => void
/** As in the types of `ws`, although it is also called without an error. */
export type BeatCallback = (error: Error) => void

export interface SocketEvents {
  open: []
  message: [data: RawData, isBinary: boolean]
  close: [code: number, reason: Buffer]
  error: [error: Error]
  ping: [data: Buffer]
  pong: [data: Buffer]
  transportchange: [transport: Transport | null]
}
