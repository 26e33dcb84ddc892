/**
 * Passes requests on to the node that has their session, and the answers back, piece by piece. The other node sees an ordinary
 * exchange, event stream or handshake: there is no second protocol, only a header that says whose client it is.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { misdirected, type Passed } from '../../server/base/cluster.ts'
import { endConnection } from '../../server/base/handshake.ts'
import type { MountedRequest } from '../../server/base/request.ts'
import { isOver, writeHead } from '../../server/base/responses.ts'
import { Spread } from '../../server/base/spread.ts'
import { answerGiven, answerWaits } from '../../server/base/unread.ts'
import type { NodeRecord } from '../base/engine.ts'
import { answerHeaders, headersOf, headLines, headText, urlOf } from './heads.ts'
import { type AnswerHead, Lines, placeOf } from './lines.ts'
import { connectionOf, Reach } from './reach.ts'
import type { Relay } from './relay.ts'
import { passedHeader, Signer } from './signature.ts'

/**
 * 'answered': the client has its answer, or nobody is there to read it. 'not there': the other node does not have the session.
 * 'unreachable': nothing came back from it.
 */
export type Outcome = 'answered' | 'not there' | 'unreachable'

/** A node that does not even take the connection within this time is unreachable. */
const connectTime = 1_000

const shortBody = 16 * 1024
const nothing = Buffer.alloc(0)

export class Passing {
  readonly #signer: Signer
  readonly #relay: Relay | undefined
  /** Which nodes are reached through the store. */
  readonly #reach: Reach
  #relayed = 0
  readonly #lines = new Lines()
  /** The connections through the store. */
  readonly #relayLines: Lines
  /** By node: the functions that end what is passed on to it now. */
  readonly #underWay = new Map<string, Set<() => void>>()
  /** This node is about to end: a request that cannot be passed on is cut, so that its client asks another node. */
  #isLeaving = false
  /** Nothing more is passed on. */
  #isStopped = false

  /** `relay`: how to reach nodes that cannot be connected to. */
  constructor(secret: () => string, relay?: Relay) {
    this.#signer = new Signer(secret)
    this.#relay = relay
    this.#reach = new Reach(relay !== undefined)
    this.#relayLines = new Lines((node) => (relay as Relay).connect(node))
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

  /** The same number, by node. */
  get sizes(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#underWay].map(([node, all]) => [node, all.size]))
  }

  /** Whether this node is reached through the store. */
  isRelayed(node: NodeRecord): boolean {
    return !this.#reach.isDirect(node)
  }

  /** A connection to this node, to see whether it takes one. */
  connect(to: NodeRecord): Duplex {
    if (!this.isRelayed(to)) return connect(placeOf(to.address))
    const tunnel = (this.#relay as Relay).connect(to.name)
    // The other node learns of the connection by its first bytes.
    tunnel.write('')
    return tunnel
  }

  /** The node is dead: ends everything that is passed on to it. */
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
    this.#lines.close()
    this.#relayLines.close()
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
    const url = urlOf(request)
    const proof = this.#signer.sign(to.name, passed, { method, url })
    const length = method === 'GET' ? '' : `content-length: ${body.length}\r\n`
    const head = `${method} ${url} HTTP/1.1\r\n${headLines(request, to)}${length}${passedHeader}: ${proof}\r\n\r\n`
    return this.#exchange(to, head, body, response)
  }

  #exchange(
    to: NodeRecord,
    head: string,
    body: Uint8Array,
    response: ServerResponse,
    again = false,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const isRelayed = this.isRelayed(to)
      const lines = isRelayed ? this.#relayLines : this.#lines
      const name = isRelayed ? to.name : to.address
      const line = again ? lines.make(name) : lines.take(name)
      let state: 'waiting' | 'given' | 'ended' | 'not for the client' = 'waiting'
      const gone = (): void => {
        over()
        line.drop()
        resolve('answered')
      }
      const over = this.#note(
        to.name,
        () => line.destroy(),
        () => response.off('close', gone),
      )
      response.once('close', gone)
      line.ask(head, body, {
        head: (answer) => {
          // The request will not be sent again, and the answer may take long: do not keep the body.
          body = nothing
          const without = nothingFrom(answer)
          if (isRelayed && !without) this.#relayed++
          if (without) {
            state = 'not for the client'
            over()
          } else if (writeHead(response, answer.status, answerHeaders(answer))) state = 'given'
          else {
            over()
            line.drop()
          }
          resolve(without ?? 'answered')
        },
        body: (piece, isLast) => {
          if (state !== 'given') return true
          if (isLast) {
            state = 'ended'
            // Node sends a short text together with the head, in one piece.
            if (piece.length < shortBody) response.end(piece.toString('latin1'), 'latin1')
            else response.end(piece)
            answerGiven(response, response.writableLength)
          } else if (!response.write(piece)) {
            const isRead = answerWaits(response)
            response.once('drain', () => {
              isRead()
              line.resume()
            })
            return false
          }
          return true
        },
        done: () => {
          over()
          if (state !== 'given') return
          response.end()
          answerGiven(response, response.writableLength)
        },
        failed: () => {
          over()
          if (state === 'not for the client') return
          // The other node is gone in the middle of an answer: cut the answer here, too.
          if (state === 'given') response.destroy()
          else if (this.#isLeaving) {
            response.destroy()
            resolve('answered')
          } else if (isOver(response)) resolve('answered')
          // A connection that was kept may end just when it is used again: send the request once more. The session takes messages
          // that arrive twice only once.
          else if (line.isReused) resolve(this.#exchange(to, head, body, response, true))
          else {
            if (!isRelayed && !line.wasConnected) this.#reach.failed(to)
            resolve('unreachable')
          }
        },
      })
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
    const url = urlOf(request)
    const headers = headersOf(request)
    headers['sec-websocket-protocol'] = protocols
    headers.connection = 'Upgrade'
    headers.upgrade = 'websocket'
    headers[passedHeader] = this.#signer.sign(to.name, passed, { method, url, protocols })
    return this.#handshake(to, { method, path: url, headers }, socket, head)
  }

  #handshake(to: NodeRecord, options: RequestOptions, socket: Duplex, head: Buffer): Promise<Outcome> {
    return new Promise((resolve) => {
      const isRelayed = this.isRelayed(to)
      const way = isRelayed
        ? { createConnection: () => (this.#relay as Relay).connect(to.name) }
        : { ...placeOf(to.address), agent: false as const }
      const upstream = httpRequest({ ...options, ...way })
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
        if (isRelayed) this.#relayed++
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
        const without = nothingFrom({ status: answer.statusCode ?? 0, headers: answer.headers })
        if (without) {
          answer.resume()
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
          if (!isRelayed && !wasConnected()) this.#reach.failed(to)
          resolve('unreachable')
        }
      })
      upstream.end()
    })
  }

  /** Notes a handshake that is under way to a node, with its time limit. Returns the function to call when it is over. */
  #begin(node: string, upstream: ClientRequest, tidy: () => void): () => void {
    const end = (): void => {
      upstream.destroy(new Error('The other node is dead'))
      // After an upgrade the request does not own the connection any more.
      upstream.socket?.destroy()
    }
    const timer = setTimeout(end, connectTime)
    timer.unref()
    upstream.once('socket', (socket) => {
      if (!socket.connecting) clearTimeout(timer)
      else socket.once('connect', () => clearTimeout(timer))
    })
    return this.#note(node, end, () => {
      clearTimeout(timer)
      tidy()
    })
  }

  /** Notes that something is passed on to a node, and how to end it. Returns the function to call when it is over. */
  #note(node: string, end: () => void, tidy: () => void): () => void {
    const all = this.#underWay.get(node) ?? new Set()
    this.#underWay.set(node, all)
    all.add(end)
    return () => {
      tidy()
      all.delete(end)
      if (all.size === 0 && this.#underWay.get(node) === all) this.#underWay.delete(node)
    }
  }
}

/** The outcome if the answer is not for the client; otherwise undefined. */
function nothingFrom({
  status,
  headers,
}: Pick<AnswerHead, 'status'> & { headers: object }): Outcome | undefined {
  const isRefused = passedHeader in headers
  if (!isRefused && status !== misdirected.status) return undefined
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

function ignore(): void {}
