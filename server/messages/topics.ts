/**
 * The subscribers of each topic on this server. A publication is encoded once for all of them. In a cluster it goes to the cluster,
 * which brings it back to every server that has subscribers, this one too.
 */
import { binaryMessage, type Message, textMessage } from '../../shared/message.ts'
import type { SharedTopics, TopicChange, TopicPlace } from '../base/cluster.ts'
import { makeFrame } from '../base/frame-writer.ts'
import { checkClose } from './close-arguments.ts'
import { isBinary, type SendData, type SendOptions, toBuffer, toMessage, toText } from './data.ts'
import { Publications } from './publications.ts'

/** What topics need of a socket. */
interface Subscriber {
  readonly readyState: number
  close(code?: number, reason?: string | Buffer): void
  deliver(message: Message): void
  /** The socket was left out of a message, so its place in the topic has moved. */
  touch?(): void
}

/** Who gets no copy: a socket, the subscribers of a topic, or a list of these. */
export type Except = Subscriber | string | Iterable<Subscriber | string>

/** The options of `publish` and `broadcast`. */
export interface PublishOptions extends SendOptions {
  /** Sockets that get no copy. A string is a topic: its subscribers get no copy. */
  except?: Except | undefined
}

const nobody: ReadonlySet<Subscriber> = new Set()

export class Topics {
  readonly #subscribers = new Map<string, Set<Subscriber>>()
  #subscriptions = 0
  /** By topic the sockets that do not have yet what was published while they came from another server. */
  readonly #late = new Map<string, Set<Subscriber>>()
  /** Gets the changes of topics on a server without a cluster; otherwise the cluster tells them. */
  watcher: ((change: TopicChange) => void) | undefined
  /** Undefined: the server is alone. */
  #publications: Publications | undefined

  /** From now on topics reach the other servers of the cluster, too. */
  join(shared: SharedTopics): void {
    this.#publications = new Publications(shared)
  }

  add(topic: string, socket: Subscriber): void {
    let subscribers = this.#subscribers.get(topic)
    if (!subscribers) {
      subscribers = new Set()
      this.#subscribers.set(topic, subscribers)
    }
    if (subscribers.has(socket)) return
    subscribers.add(socket)
    this.#subscriptions++
    if (!this.#publications) {
      if (subscribers.size === 1) this.#tell({ topic, state: 'occupied' })
      return
    }
    this.#publications.joined(topic, socket)
    if (subscribers.size === 1) this.#publications.listen(topic, true)
  }

  /** The place up to which the subscribers here have the topic; undefined without a cluster. */
  placeOf(topic: string): TopicPlace | undefined {
    return this.#publications?.placeOf(topic)
  }

  /**
   * Whether the socket has all messages of its topics that the subscribers here have, and no publication of this server is under way:
   * only then do the places of the topics say which messages the socket has.
   */
  isSettled(socket: Subscriber, topics: Iterable<string>): boolean {
    for (const topic of topics)
      if (this.#late.get(topic)?.has(socket) || this.#publications?.isPending(topic)) return false
    return true
  }

  /** The places up to which the socket has these topics; undefined if it lacks messages that the other subscribers here have. */
  placesOf(socket: Subscriber, topics: Iterable<string>): [string, TopicPlace | undefined][] | undefined {
    const places: [string, TopicPlace | undefined][] = []
    for (const topic of topics) {
      if (this.#late.get(topic)?.has(socket)) return undefined
      places.push([topic, this.placeOf(topic)])
    }
    return places
  }

  /** Goes on with a subscription that the socket had on another server: first it gets what was published since this place. */
  resume(topic: string, socket: Subscriber, from: TopicPlace | undefined): void {
    this.add(topic, socket)
    if (!this.#publications || !from) return
    // Publications of this server that are under way are for this socket, too.
    this.#publications.left(topic, socket)
    const late = this.#late.get(topic) ?? new Set()
    this.#late.set(topic, late.add(socket))
    const caughtUp = (): void => {
      late.delete(socket)
      if (late.size === 0 && this.#late.get(topic) === late) this.#late.delete(topic)
    }
    this.#publications
      .catchUp(topic, from, {
        deliver: (data, binary, except) => {
          const isLeftOut = except.length > 0 && this.#leftOut(except)(socket)
          if (!isLeftOut)
            socket.deliver(forMany(binary ? binaryMessage(data) : textMessage(data, data.length)))
        },
        disconnect: (code, reason) => socket.close(code, reason),
        isThere: () => socket.readyState === 1 && this.of(topic).has(socket),
        // At once, because the next message may come before the promise is resolved.
        caughtUp,
      })
      .then(caughtUp, caughtUp)
  }

  delete(topic: string, socket: Subscriber): void {
    const subscribers = this.#subscribers.get(topic)
    if (!subscribers?.delete(socket)) return
    this.#subscriptions--
    if (subscribers.size === 0) this.#subscribers.delete(topic)
    if (!this.#publications) {
      if (subscribers.size === 0) this.#tell({ topic, state: 'vacated' })
      return
    }
    this.#publications.left(topic, socket)
    if (subscribers.size === 0) this.#publications.listen(topic, false)
  }

  /** Tells the watcher later, because the caller of `subscribe` may be in the middle of something. */
  #tell(change: TopicChange): void {
    if (this.watcher) process.nextTick(this.watcher, change)
  }

  /** Whether the server has clients, and so listens to what is published to all clients. */
  hasClients(any: boolean): void {
    this.#publications?.listen(undefined, any)
  }

  /** The application is about to see a client: from now on it gets what is for all clients. */
  addClient(socket: object): void {
    this.#publications?.joined(undefined, socket)
  }

  deleteClient(socket: object): void {
    this.#publications?.left(undefined, socket)
  }

  /** How many topics have subscribers, and how many subscriptions these are. */
  get size(): { readonly count: number; readonly subscriptions: number } {
    return { count: this.#subscribers.size, subscriptions: this.#subscriptions }
  }

  /** The subscribers of a topic, as they are now and as they change. */
  of(topic: string): ReadonlySet<Subscriber> {
    return this.#subscribers.get(topic) ?? nobody
  }

  /** Sends a message to all subscribers. Returns the number of those on this server. */
  publish(topic: string, data: SendData, options?: PublishOptions, publisher?: Subscriber): number {
    return this.sendTo(topic, this.of(topic), data, options, publisher)
  }

  /** Sends a message to the topic's subscribers, or without a topic to all clients. `sockets`: those here. Returns their number. */
  sendTo(
    topic: string | undefined,
    sockets: Iterable<Subscriber>,
    data: SendData,
    options?: PublishOptions,
    publisher?: Subscriber,
  ): number {
    if (data instanceof Blob) throw new TypeError('publish() does not take a Blob: publish its bytes')
    const isLeftOut = options?.except === undefined ? undefined : this.#leftOut(options.except)
    if (this.#publications)
      return this.#handOver(this.#publications, topic, sockets, data, options, publisher, isLeftOut)
    let message: Message | undefined
    let count = 0
    for (const socket of sockets) {
      if (socket === publisher || socket.readyState !== 1 || isLeftOut?.(socket)) continue
      message ??= shared(data, options)
      socket.deliver(message)
      count++
    }
    return count
  }

  /** Gives a message to the cluster. Returns the number of those who will get it here. */
  #handOver(
    publications: Publications,
    topic: string | undefined,
    sockets: Iterable<Subscriber>,
    data: Exclude<SendData, Blob>,
    options: PublishOptions | undefined,
    publisher: Subscriber | undefined,
    isLeftOut: ((socket: Subscriber) => boolean) | undefined,
  ): number {
    const leftOut = isLeftOut && new Set<Subscriber>()
    let count = 0
    for (const socket of sockets) {
      if (isLeftOut?.(socket)) leftOut?.add(socket)
      else if (socket !== publisher && socket.readyState === 1) count++
    }
    const binary = options?.binary ?? isBinary(data)
    const bytes = binary ? toBuffer(data, false) : toText(data)
    const topics = options?.except === undefined ? [] : listOf(options.except).filter(isTopic)
    publications.publish(topic, bytes, binary, topics, publisher, leftOut)
    return count
  }

  /** The cluster brings a message of the topic, or without a topic one for all clients. `sockets`: those here. */
  deliver(
    topic: string | undefined,
    sockets: Iterable<Subscriber>,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    sender: object | undefined,
  ): void {
    const isLeftOut =
      this.#publications?.without(topic, sender) ?? (except.length > 0 ? this.#leftOut(except) : undefined)
    const late = topic === undefined ? undefined : this.#late.get(topic)
    let message: Message | undefined
    for (const socket of sockets) {
      if (socket.readyState !== 1 || late?.has(socket)) continue
      if (isLeftOut?.(socket)) {
        socket.touch?.()
        continue
      }
      message ??= forMany(binary ? binaryMessage(data) : textMessage(data, data.length))
      socket.deliver(message)
    }
    this.#publications?.over(topic, sender)
  }

  /** Closes all subscribers that are open. Returns the number of those on this server. */
  disconnect(topic: string, code: number | undefined, reason: string | Buffer | undefined): number {
    checkClose(code, reason)
    if (!this.#publications) return this.close(topic, code, reason)
    this.#publications.disconnect(topic, code, String(reason ?? ''))
    return this.#open(topic).length
  }

  /** The same. Returns how many were closed; in a cluster the number of the publication, by which the cluster counts them. */
  disconnectCounted(
    topic: string,
    code: number | undefined,
    reason: string | Buffer | undefined,
  ): { readonly closed: number } | { readonly number: number } {
    checkClose(code, reason)
    if (!this.#publications) return { closed: this.close(topic, code, reason) }
    return { number: this.#publications.disconnect(topic, code, String(reason ?? '')) }
  }

  /** Closes the open subscribers on this server. `sender`: what came back from the cluster if this server published the `disconnect`. */
  close(
    topic: string,
    code: number | undefined,
    reason: string | Buffer | undefined,
    sender?: object,
  ): number {
    const isLeftOut = this.#publications?.without(topic, sender)
    const late = this.#late.get(topic)
    const open = this.#open(topic).filter((socket) => !isLeftOut?.(socket) && !late?.has(socket))
    for (const socket of open) socket.close(code, reason)
    this.#publications?.over(topic, sender)
    return open.length
  }

  #open(topic: string): Subscriber[] {
    return [...this.of(topic)].filter(({ readyState }) => readyState === 1)
  }

  #leftOut(except: Except): (socket: Subscriber) => boolean {
    const list = listOf(except)
    const sockets = new Set(list)
    const topics = list.filter(isTopic).map((topic) => this.of(topic))
    return (socket) => sockets.has(socket) || topics.some((topic) => topic.has(socket))
  }
}

function listOf(except: Except): (Subscriber | string)[] {
  if (typeof except !== 'string' && (typeof except !== 'object' || except === null))
    throw new TypeError('The option "except" must be a socket, a topic, or a list of these')
  return typeof except === 'string' || !(Symbol.iterator in except) ? [except] : [...except]
}

function isTopic(one: Subscriber | string): one is string {
  return typeof one === 'string'
}

/** A message for many sockets. */
function shared(data: Exclude<SendData, Blob>, options: SendOptions | undefined): Message {
  return forMany(toMessage(data, options?.binary ?? isBinary(data)))
}

function forMany(message: Message): Message {
  const bytes = message.data as Buffer
  const binary = message.kind === 'binary'
  // Text that begins with U+0000 is escaped for sessions but not for ordinary clients, so it has no common frame.
  if (binary || bytes[0] !== 0) message.frame = makeFrame(bytes, binary)
  message.shared = { holders: 0 }
  return message
}
