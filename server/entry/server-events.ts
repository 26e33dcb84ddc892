/** The events of a WebSocketServer, as in `ws`. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { SocketClass } from '../admission/options.ts'
import type { ClusterState, TopicChange } from '../base/cluster.ts'
import type { WithToken } from '../base/token.ts'
import type { Socket } from '../sockets/socket.ts'

/** The events of a WebSocketServer with the arguments of their listeners. */
export interface ServerEvents<Client = Socket, Request = IncomingMessage> {
  /**
   * A new client, once for each session or ordinary WebSocket; not when a session resumes. In a cluster also a client of another
   * server, with `socket.recovered`: one that this server goes on with, after a `drain` there (option `recover`) or after that server
   * has died (option `durable`). In durable mode `connection` of a client comes once more, without `recovered`, if its server has died
   * before it was stored that it had come.
   */
  connection: [socket: Client, request: Request & WithToken]
  /**
   * The answer to an opening request is about to be sent. A listener may add lines to `headers`, as `Name: value`.
   */
  headers: [headers: string[], request: Request]
  /** The HTTP server listens. */
  listening: []
  /** The HTTP server has an error, for example because the port is in use. */
  error: [error: Error]
  /** The servers of the option `cluster` can be reached, or cannot, and why. */
  cluster: [state: ClusterState]
  /**
   * Messages of a topic did not reach the subscribers on this server: the store of the cluster was away for longer than its history
   * is kept. Undefined: messages of `broadcast`.
   */
  gap: [topic: string | undefined]
  /**
   * A topic has its first subscriber on all servers of the cluster together, or has lost its last one; without a cluster, on this
   * server. In a cluster one server emits it, so listen on all of them. It may come late. Without a listener it costs nothing.
   */
  topic: [change: TopicChange]
  /** The server is closed and all clients have gone. */
  close: []
  /**
   * A handshake of a WebSocket is not valid. A listener must answer it, or destroy `socket`; without a listener
   * the server does.
   */
  wsClientError: [error: Error, socket: Duplex, request: Request]
}

/** The class of the requests that the application sees. Only types use it. */
export type RequestClass = new (...args: never[]) => IncomingMessage

/** True if both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** The instances of a class for sockets. `typeof Socket` itself, and nothing that extends it, says nothing of `data`. */
export type InstanceOf<Class extends SocketClass> =
  Same<Class, typeof Socket> extends true ? Socket : InstanceType<Class>
