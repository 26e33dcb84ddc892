/**
 * The publications of this server to its cluster. A publication comes back a little later, and must reach those who would have got it
 * at the moment of the call. Sockets that subscribed since then, and sockets that were left out, do not get it.
 */
import type { Latecomer, SharedTopics, TopicPlace } from '../base/cluster.ts'

/** A socket, as far as only its identity matters here. */
type Someone = object

/** The `sender` of a publication, which comes back with it. */
interface Publication {
  readonly number: number
  readonly publisher: Someone | undefined
  readonly leftOut: ReadonlySet<Someone> | undefined
}

export class Publications {
  readonly #shared: SharedTopics
  #number = 0
  /** By topic the sockets that subscribed while publications were under way, with the number of the last one that they do not get. */
  readonly #late = new Map<string | undefined, Map<Someone, number>>()

  constructor(shared: SharedTopics) {
    this.#shared = shared
  }

  /** The topic has its first subscriber here, or has lost its last one. Without a topic the same of the server's clients. */
  listen(topic: string | undefined, wanted: boolean): void {
    if (wanted) this.#shared.subscribed(topic)
    else this.#shared.unsubscribed(topic)
  }

  /** Somebody subscribed; without a topic: the application is about to see a client. */
  joined(topic: string | undefined, someone: Someone): void {
    if (!this.#shared.isPending(topic)) return
    let late = this.#late.get(topic)
    if (!late) {
      late = new Map()
      this.#late.set(topic, late)
    }
    // The oldest come first.
    late.delete(someone)
    late.set(someone, this.#number)
  }

  /** Whether something that was published here to this topic has not come back yet. */
  isPending(topic: string): boolean {
    return this.#shared.isPending(topic)
  }

  /** The place up to which the subscribers here have the topic. */
  placeOf(topic: string): TopicPlace | undefined {
    return this.#shared.placeOf(topic)
  }

  catchUp(topic: string, from: TopicPlace, latecomer: Latecomer): Promise<void> {
    return this.#shared.catchUp(topic, from, latecomer)
  }

  left(topic: string | undefined, someone: Someone): void {
    const late = this.#late.get(topic)
    if (late?.delete(someone) && late.size === 0) this.#late.delete(topic)
  }

  publish(
    topic: string | undefined,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    publisher: Someone | undefined,
    leftOut: ReadonlySet<Someone> | undefined,
  ): void {
    this.#shared.publish(topic, data, binary, except, { number: ++this.#number, publisher, leftOut })
  }

  /** Returns the number by which the cluster knows this `disconnect`. */
  disconnect(topic: string, code: number | undefined, reason: string): number {
    const publication: Publication = { number: ++this.#number, publisher: undefined, leftOut: undefined }
    return this.#shared.disconnect(topic, code, reason, publication)
  }

  /** Which sockets do not get the publication that has come back; undefined: everybody gets it. */
  without(
    topic: string | undefined,
    sender: object | undefined,
  ): ((someone: Someone) => boolean) | undefined {
    if (!sender) return undefined
    const { number, publisher, leftOut } = sender as Publication
    const late = this.#late.get(topic)
    return (someone) =>
      someone === publisher || leftOut?.has(someone) === true || (late?.get(someone) ?? 0) >= number
  }

  /** The publication was given to everybody. */
  over(topic: string | undefined, sender: object | undefined): void {
    const late = this.#late.get(topic)
    if (!late || !sender) return
    for (const [someone, number] of late) {
      if (number > (sender as Publication).number) break
      late.delete(someone)
    }
    if (late.size === 0) this.#late.delete(topic)
  }
}
