/** `everwire/server`: for Node. */

export type { TrustProxy } from './admission/address.ts'
export type {
  ClientInfo,
  PerMessageDeflateOptions,
  ServerOptions,
  StatusPageOptions,
  VerifyClient,
  VerifyClientCallback,
} from './admission/options.ts'
export type { OriginRule, Origins } from './admission/origins.ts'
export type { Cluster, ClusterCount, ClusterState, ClusterStats, TopicChange } from './base/cluster.ts'
export type { HttpCompressionOptions } from './carriers/compression.ts'
export type { CloseOptions, DrainOptions } from './ending/close-options.ts'
export { attachFallbacks } from './entry/fallbacks.ts'
export type { FetchOptions } from './entry/fetch-options.ts'
export { WebSocketServer } from './entry/server.ts'
export type { ServerEvents } from './entry/server-events.ts'
export type { RawData, SendData, SendOptions } from './messages/data.ts'
export type { Except, PublishOptions } from './messages/topics.ts'
export type { Middleware } from './mount/mount.ts'
export type { Transport } from './sockets/carrier.ts'
export type { CloseEntry, ServerCarrierEntry, ServerDiaryEntry } from './sockets/carrier-diary.ts'
export type { EndReason } from './sockets/end-reasons.ts'
export type { SocketListener, SocketListenerEvent } from './sockets/events.ts'
export type { RateLimit } from './sockets/rate.ts'
export type { ServerChannels } from './sockets/reports.ts'
export type { ClusterClient, ClusterClients } from './sockets/roster.ts'
export { Socket, type UpgradeCallback } from './sockets/socket.ts'
export type { SendCallback, SocketEvents } from './sockets/socket-events.ts'
export type {
  ByTransport,
  MessageCount,
  ServerStats,
} from './sockets/statistics.ts'
export { createWebSocketStream } from './sockets/stream.ts'
