/** What is sent through the networks: everwire here, its peers in bench/networks.mjs. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type Transport, WebSocket } from '../../client/node.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { follow, lastWords, path } from './follow.ts'
import { type Party, Talk, type TalkOptions } from './talk.ts'

export interface Contestant {
  readonly name: string
  /** It carries nothing but text. */
  readonly textOnly: boolean
  /** The only transport that it may use. */
  readonly alone?: Transport | undefined
  serve(talk: Talk): Promise<Serving>
  /** A client for what listens on that port, here or in a page. */
  connect(port: number, options: TalkOptions): Client | Promise<Client>
}

interface Serving {
  readonly port: number
  /** Whatever is still connected. */
  stop(): Promise<void>
}

export interface Client extends Party {
  /** As an application does that has had enough. */
  close(): void | Promise<void>
  /** Whatever is still under way. */
  drop(): unknown
}

export const everwire: Contestant = everwireOver()
/** For pages of other origins. */
export const everwireForAll: Contestant = { ...everwire, serve: (talk) => serve(talk, { origins: '*' }) }

/** With these transports alone. */
export function everwireOver(transports?: readonly Transport[]): Contestant {
  const options = transports ? { transports } : {}
  return {
    name: 'everwire',
    textOnly: false,
    serve: (talk) => serve(talk),
    connect: (port, talking) =>
      localClient(talking, (talk) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options)
        follow(socket, talk)
        return () => socket.close(lastWords.code, lastWords.reason)
      }),
  }
}

async function serve(talk: Talk, options: ServerOptions = {}): Promise<Serving> {
  const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', path, ...options })
  realtime.on('connection', (socket) => {
    talk.opened((data) => {
      if (socket.readyState === socket.OPEN) socket.send(data)
      return socket.readyState === socket.OPEN
    })
    socket.on('transportchange', (transport) => talk.transport(transport))
    socket.on('message', (data, isBinary) => talk.message(isBinary ? (data as Buffer) : String(data)))
    socket.on('error', (error) => talk.visible(`error ${error.message}`))
    socket.on('close', (code, reason) => talk.gone(`close ${code} ${reason}`.trim()))
  })
  await once(realtime, 'listening')
  return {
    port: (realtime.address() as AddressInfo).port,
    async stop() {
      for (const socket of realtime.clients) socket.terminate()
      await new Promise<void>((resolve) => realtime.close(() => resolve()))
    },
  }
}

/** A client in this process; `begin` makes it, and returns how to close it. */
export function localClient(options: TalkOptions, begin: (talk: Talk) => () => void): Client {
  const talk = new Talk('client', options)
  const close = begin(talk)
  const drop = (): void => {
    talk.forget()
    close()
  }
  return Object.assign(talk, { close, drop })
}
