/** The subscribers of each topic on this server. A publication is encoded once for all of them. */
import type { Message } from '../../shared/message.ts'
import { makeFrame } from '../base/frame-writer.ts'
import { checkClose } from './close-arguments.ts'
import { isBinary, type SendData, type SendOptions, toMessage } from './data.ts'

/** What topics need of a socket. */
interface Subscriber {
  readonly readyState: number
  close(code?: number, reason?: string | Buffer): void
  deliver(message: Message): void
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

  add(topic: string, socket: Subscriber): void {
    let subscribers = this.#subscribers.get(topic)
    if (!subscribers) {
      subscribers = new Set()
      this.#subscribers.set(topic, subscribers)
    }
    if (subscribers.has(socket)) return
    subscribers.add(socket)
    this.#subscriptions++
  }

  delete(topic: string, socket: Subscriber): void {
    const subscribers = this.#subscribers.get(topic)
    if (!subscribers?.delete(socket)) return
    this.#subscriptions--
    if (subscribers.size === 0) this.#subscribers.delete(topic)
  }

  /** How many topics have subscribers, and how many subscriptions these are. */
  get size(): { readonly count: number; readonly subscriptions: number } {
    return { count: this.#subscribers.size, subscriptions: this.#subscriptions }
  }

  /** The subscribers of a topic, as they are now and as they change. */
  of(topic: string): ReadonlySet<Subscriber> {
    return this.#subscribers.get(topic) ?? nobody
  }

  /** Sends a message to all subscribers. Returns their number. */
  publish(topic: string, data: SendData, options?: PublishOptions, publisher?: Subscriber): number {
    return this.sendTo(this.of(topic), data, options, publisher)
  }

  /** Sends a message to all these sockets that are open. Returns their number. */
  sendTo(
    sockets: Iterable<Subscriber>,
    data: SendData,
    options?: PublishOptions,
    publisher?: Subscriber,
  ): number {
    if (data instanceof Blob) throw new TypeError('publish() does not take a Blob: publish its bytes')
    const isLeftOut = options?.except === undefined ? undefined : this.#leftOut(options.except)
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

  /** Closes all subscribers that are open. Returns their number. */
  disconnect(topic: string, code: number | undefined, reason: string | Buffer | undefined): number {
    checkClose(code, reason)
    const open = [...this.of(topic)].filter(({ readyState }) => readyState === 1)
    for (const socket of open) socket.close(code, reason)
    return open.length
  }

  #leftOut(except: Except): (socket: Subscriber) => boolean {
    const list = typeof except === 'string' || !(Symbol.iterator in except) ? [except] : except
    const sockets = new Set<unknown>()
    const topics: ReadonlySet<Subscriber>[] = []
    for (const one of list as Iterable<unknown>) {
      if (typeof one === 'string') topics.push(this.of(one))
      else sockets.add(one)
    }
    return (socket) => sockets.has(socket) || topics.some((topic) => topic.has(socket))
  }
}

/** A message for many sockets. */
function shared(data: Exclude<SendData, Blob>, options: SendOptions | undefined): Message {
  const binary = options?.binary ?? isBinary(data)
  const message = toMessage(data, binary)
  const bytes = message.data as Buffer
  // Text that begins with U+0000 is escaped for sessions but not for ordinary clients, so it has no common frame.
  if (binary || bytes[0] !== 0) message.frame = makeFrame(bytes, binary)
  message.shared = { holders: 0 }
  return message
}
