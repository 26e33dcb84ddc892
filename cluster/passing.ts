/**
 * Passes requests on to the node that has their session, and the answers back, piece by piece. The other node sees an ordinary
 * exchange, event stream or handshake: there is no second protocol, only a header that says whose client it is.
 */
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { misdirected, type Passed } from '../server/base/cluster.ts'
import { endConnection } from '../server/base/handshake.ts'
import type { MountedRequest } from '../server/base/request.ts'
import { isOver, writeHead } from '../server/base/responses.ts'
import { Spread } from '../server/base/spread.ts'
import type { NodeRecord } from './engine.ts'
import { connectionOf, placeOf, Reach } from './reach.ts'
import type { Relay } from './relay.ts'
import { passedHeader, sign } from './signature.ts'

/**
 * 'answered': the client has its answer, or nobody is there to read it. 'not there': the other node does not have the session.
 * 'unreachable': nothing came back from it.
 */
export type Outcome = 'answered' | 'not there' | 'unreachable'

/** A connection to another node that was not used for so long is closed. */
const idleTime = 30_000
/** A node that does not even take the connection within this time is unreachable. */
const connectTime = 1_000

/** Headers that are about one connection; the next one has its own. */
const ofConnection =
  /^(connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|expect|content-length|date|http2-settings|:.*|x-everwire-passed)$/i

export class Passing {
  readonly #secret: string
  readonly #relay: Relay | undefined
  /** Which nodes are reached through the store. */
  readonly #reach: Reach
  #relayed = 0
  readonly #agent = new Agent({ keepAlive: true, timeout: idleTime })
  /** What is under way, by node: ends with its node. */
  readonly #underWay = new Map<string, Set<() => void>>()
  /** Clients whose requests were passed on come again, to another node. */
  #isLeaving = false
  /** Nothing more is passed on. */
  #isStopped = false

  /** `relay`: how to reach nodes that cannot be connected to. */
  constructor(secret: string, relay?: Relay) {
    this.#secret = secret
    this.#relay = relay
    this.#reach = new Reach(relay !== undefined)
  }

  /** How many requests and WebSockets went through the store. */
  get relayed(): number {
    return this.#relayed
  }

  /** How many requests, streams and WebSockets are being passed on. */
  get size(): number {
    let size = 0
    for (const all of this.#underWay.values()) size += all.size
    return size
  }

  /** How many of them there are, by node. */
  get sizes(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#underWay].map(([node, all]) => [node, all.size]))
  }

  /** Whether this node is reached through the store. */
  isRelayed(node: NodeRecord): boolean {
    return !this.#reach.isDirect(node)
  }

  /** The node is dead: whatever waits for it, waits no longer. */
  cut(node: string): void {
    this.#reach.forget(node)
    this.#relay?.forget(node)
    for (const end of this.#underWay.get(node) ?? []) end()
  }

  /** These are all nodes that live. */
  lives(nodes: ReadonlySet<string>): void {
    const known = [...this.#underWay.keys(), ...this.#reach.nodes, ...(this.#relay?.nodes ?? [])]
    for (const node of new Set(known)) if (!nodes.has(node)) this.cut(node)
  }

  /** This node is about to end: cuts what is passed on now, spread over so many milliseconds. */
  async leave(within: number): Promise<void> {
    this.#isLeaving = true
    const all = [...this.#underWay.values()].flatMap((ends) => [...ends])
    await new Spread(all, within / all.length, (end) => end()).done
  }

  /** Cuts everything that is passed on. */
  stop(): void {
    this.#isLeaving = true
    this.#isStopped = true
    for (const node of [...this.#underWay.keys()]) this.cut(node)
  }

  close(): void {
    this.stop()
    this.#agent.destroy()
  }

  /** Passes an exchange or an event stream on. */
  request(
    to: NodeRecord,
    request: MountedRequest,
    response: ServerResponse,
    body: Uint8Array,
    passed: Passed,
  ): Promise<Outcome> {
    if (this.#isStopped) response.destroy()
    if (isOver(response)) return Promise.resolve('answered')
    const method = request.method ?? 'GET'
    const url = request.originalUrl ?? request.url ?? '/'
    const headers = headersOf(request)
    headers[passedHeader] = sign(this.#secret, to.name, passed, { method, url })
    if (method !== 'GET') headers['content-length'] = body.length
    return this.#exchange(to, { method, path: url, headers }, body, response)
  }

  /** Over which kind of connection an exchange goes to this node. */
  #wayOf(to: NodeRecord): { readonly isRelayed: boolean; readonly options: RequestOptions } {
    const relay = this.#reach.isDirect(to) ? undefined : this.#relay
    if (!relay) return { isRelayed: false, options: { ...placeOf(to.address), agent: this.#agent } }
    return { isRelayed: true, options: { host: to.name, agent: relay.agent } }
  }

  #exchange(
    to: NodeRecord,
    options: RequestOptions,
    body: Uint8Array,
    response: ServerResponse,
    again = false,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const way = this.#wayOf(to)
      const upstream = httpRequest({ ...options, ...way.options })
      upstream.on('error', ignore)
      const wasConnected = connectionOf(upstream)
      const over = this.#begin(to.name, upstream, () => response.off('close', gone))
      const gone = (): void => {
        upstream.destroy()
        resolve('answered')
      }
      response.once('close', gone)
      upstream.once('response', (answer) => {
        const without = nothingFrom(answer)
        if (without) {
          over()
          resolve(without)
          return
        }
        if (way.isRelayed) this.#relayed++
        resolve('answered')
        if (!writeHead(response, answer.statusCode ?? 502, answerHeaders(answer))) {
          upstream.destroy()
          return
        }
        // The other node is gone in the middle of an answer: so is this one.
        answer.on('error', ignore).once('close', () => {
          over()
          if (!answer.complete) response.destroy()
        })
        answer.pipe(response)
      })
      upstream.once('error', () => {
        over()
        if (this.#isLeaving) response.destroy()
        if (isOver(response)) resolve('answered')
        // A connection that was kept may end just when it is used again. The session takes what comes twice once.
        else if (upstream.reusedSocket && !again) resolve(this.#exchange(to, options, body, response, true))
        else {
          if (!way.isRelayed && !wasConnected()) this.#reach.failed(to)
          resolve('unreachable')
        }
      })
      upstream.end(body)
    })
  }

  /** Passes a WebSocket on: its handshake, and then every byte in both directions. */
  upgrade(
    to: NodeRecord,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    protocols: string,
    passed: Passed,
  ): Promise<Outcome> {
    if (this.#isStopped) socket.destroy()
    const method = 'GET'
    const url = (request as MountedRequest).originalUrl ?? request.url ?? '/'
    const headers = headersOf(request)
    headers['sec-websocket-protocol'] = protocols
    headers.connection = 'Upgrade'
    headers.upgrade = 'websocket'
    headers[passedHeader] = sign(this.#secret, to.name, passed, { method, url, protocols })
    return this.#handshake(to, { method, path: url, headers }, socket, head)
  }

  #handshake(to: NodeRecord, options: RequestOptions, socket: Duplex, head: Buffer): Promise<Outcome> {
    return new Promise((resolve) => {
      const way = this.#wayOf(to)
      const connection = way.isRelayed
        ? { createConnection: () => (this.#relay as Relay).connect(to.name) }
        : { ...way.options, agent: false as const }
      const upstream = httpRequest({ ...options, ...connection })
      upstream.on('error', ignore)
      const wasConnected = connectionOf(upstream)
      const over = this.#begin(to.name, upstream, () => socket.off('close', gone))
      const gone = (): void => {
        upstream.destroy()
        resolve('answered')
      }
      if (!socket.writable) {
        over()
        gone()
        return
      }
      socket.once('close', gone)
      upstream.once('upgrade', (answer, connection, first) => {
        if (way.isRelayed) this.#relayed++
        resolve('answered')
        join(socket, connection, over)
        socket.write(headText(answer))
        if (first.length > 0) socket.write(first)
        if (head.length > 0) connection.write(head)
        if (socket.isPaused()) socket.resume()
        socket.pipe(connection)
        connection.pipe(socket)
      })
      upstream.once('response', (answer) => {
        over()
        const without = nothingFrom(answer)
        if (without) {
          resolve(without)
          return
        }
        resolve('answered')
        void refuseLike(answer, socket)
      })
      upstream.once('error', () => {
        over()
        if (this.#isLeaving) socket.destroy()
        if (!socket.writable) resolve('answered')
        else {
          if (!way.isRelayed && !wasConnected()) this.#reach.failed(to)
          resolve('unreachable')
        }
      })
      upstream.end()
    })
  }

  /** Notes what is under way to a node. Returns what is to be called when it is over. */
  #begin(node: string, upstream: ClientRequest, tidy: () => void): () => void {
    const all = this.#underWay.get(node) ?? new Set()
    this.#underWay.set(node, all)
    const end = (): void => {
      upstream.destroy(new Error('The other node is dead'))
      // After an upgrade the request does not own the connection any more.
      upstream.socket?.destroy()
    }
    all.add(end)
    const timer = setTimeout(end, connectTime)
    timer.unref()
    upstream.once('socket', (socket) => {
      if (!socket.connecting) clearTimeout(timer)
      else socket.once('connect', () => clearTimeout(timer))
    })
    return () => {
      clearTimeout(timer)
      tidy()
      all.delete(end)
      if (all.size === 0) this.#underWay.delete(node)
    }
  }
}

/** What an answer means that is not for the client. */
function nothingFrom(answer: IncomingMessage): Outcome | undefined {
  const isRefused = answer.headers[passedHeader] !== undefined
  if (!isRefused && answer.statusCode !== misdirected.status) return undefined
  answer.resume()
  // A node with another secret is none of this cluster.
  return isRefused ? 'unreachable' : 'not there'
}

/** Two connections live and die together. */
function join(one: Duplex, other: Duplex, over: () => void): void {
  one.on('error', ignore)
  other.on('error', ignore)
  one.once('close', () => {
    over()
    other.destroy()
  })
  other.once('close', () => {
    over()
    one.destroy()
  })
}

/** Gives the client the refusal of the other node. */
async function refuseLike(answer: IncomingMessage, socket: Duplex): Promise<void> {
  const body: Buffer[] = []
  try {
    for await (const piece of answer) body.push(piece as Buffer)
  } catch {
    socket.destroy()
    return
  }
  if (!socket.writable) return
  const whole = Buffer.concat(body)
  socket.write(headText(answer, [`Content-Length: ${whole.length}`, 'Connection: close']))
  endConnection(socket, whole)
}

/** The head of an answer, as it came. `instead`: without the headers of the connection, but with these. */
function headText(answer: IncomingMessage, instead?: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ''}`]
  const { rawHeaders } = answer
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (!(instead && ofConnection.test(name))) lines.push(`${name}: ${rawHeaders[at + 1]}`)
  }
  return `${[...lines, ...(instead ?? [])].join('\r\n')}\r\n\r\n`
}

function headersOf({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const name in headers) if (!ofConnection.test(name)) passed[name] = headers[name]
  const authority = headers[':authority']
  if (passed.host === undefined && authority !== undefined) passed.host = authority as string
  return passed
}

function answerHeaders({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const name in headers)
    if (name === 'content-length' || !ofConnection.test(name)) passed[name] = headers[name]
  return passed
}

function ignore(): void {}
