/** `everwire/server`: for Node. */

export type {
  ClientInfo,
  PerMessageDeflateOptions,
  ServerOptions,
  VerifyClient,
  VerifyClientCallback,
} from './admission/options.ts'
export type { OriginRule, Origins } from './admission/origins.ts'
export type { HttpCompressionOptions } from './carriers/compression.ts'
export { attachFallbacks } from './entry/fallbacks.ts'
export type { Middleware, Next } from './entry/mount.ts'
export { type ServerEvents, WebSocketServer } from './entry/server.ts'
export type { Transport } from './sockets/carrier.ts'
export type { CarrierEntry, CloseEntry, DiaryEntry } from './sockets/carrier-diary.ts'
export type { BinaryType, Data, RawData, SendOptions } from './sockets/data.ts'
export type { EventHandler, SocketEvent } from './sockets/events.ts'
export { type SendCallback, Socket, type SocketEvents, type UpgradeCallback } from './sockets/socket.ts'
export { createWebSocketStream, type StreamableSocket } from './sockets/stream.ts'
