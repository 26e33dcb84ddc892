/** `everwire/server`: for Node. */
export type { Transport } from './carrier.ts'
export type { HttpCompressionOptions } from './compression.ts'
export type { BinaryType, Data, RawData, SendOptions } from './data.ts'
export type { CarrierEntry, CloseEntry, DiaryEntry } from './diary.ts'
export type { EventHandler, SocketEvent } from './events.ts'
export { attachFallbacks } from './fallbacks.ts'
export type { Middleware, Next } from './mount.ts'
export type {
  ClientInfo,
  PerMessageDeflateOptions,
  ServerOptions,
  VerifyClient,
  VerifyClientCallback,
} from './options.ts'
export type { OriginRule, Origins } from './origins.ts'
export { type ServerEvents, WebSocketServer } from './server.ts'
export { type SendCallback, Socket, type SocketEvents, type UpgradeCallback } from './socket.ts'
export { createWebSocketStream, type StreamableSocket } from './stream.ts'
