/** The subscribers of each topic on this server. A publication is encoded once for all of them. */
import type { Message } from '../../shared/message.ts'
import { makeFrame } from '../base/frame-writer.ts'
import { isBinary, type SendData, type SendOptions, toMessage } from './data.ts'

export interface Subscriber {
  readonly readyState: number
  deliver(message: Message): void
}

export class Topics {
  readonly #subscribers = new Map<string, Set<Subscriber>>()

  add(topic: string, socket: Subscriber): void {
    const subscribers = this.#subscribers.get(topic)
    if (subscribers) subscribers.add(socket)
    else this.#subscribers.set(topic, new Set([socket]))
  }

  delete(topic: string, socket: Subscriber): void {
    const subscribers = this.#subscribers.get(topic)
    if (subscribers?.delete(socket) && subscribers.size === 0) this.#subscribers.delete(topic)
  }

  /** Sends a message to all subscribers. Returns their number. */
  publish(topic: string, data: SendData, options?: SendOptions, except?: Subscriber): number {
    if (data instanceof Blob) throw new TypeError('publish() does not take a Blob: publish its bytes')
    const subscribers = this.#subscribers.get(topic)
    if (!subscribers) return 0
    const binary = options?.binary ?? isBinary(data)
    const message = toMessage(data, binary)
    const bytes = message.data as Buffer
    // Text that begins with U+0000 is escaped for sessions but not for ordinary clients, so it has no common frame.
    if (binary || bytes[0] !== 0) message.frame = makeFrame(bytes, binary)
    message.shared = { holders: 0 }
    let count = 0
    for (const socket of subscribers) {
      if (socket === except || socket.readyState !== 1) continue
      socket.deliver(message)
      count++
    }
    return count
  }
}
