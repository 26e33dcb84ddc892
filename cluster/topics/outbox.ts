/**
 * The publications of a node, until the store has them. Of each topic one batch is under way; what the application publishes
 * meanwhile forms the next one. If a batch fails, the node does not know whether the store has it. So the node sends
 * it again with the same numbers, and the store drops what it already has. The queue is bounded: if entries have to
 * be dropped, a gap is published in their place.
 */
import { Fifo } from '../../shared/fifo.ts'
import { type Batch, TakesNothing } from '../base/engine.ts'
import type { Retries, Trying } from '../base/retries.ts'
import { type Said, writeEntry } from './entry.ts'

export interface OutboxLimits {
  /** The most bytes that wait. If nothing else waits, one entry is taken however large it is. */
  readonly maxWaiting: number
  /** The most entries that wait. */
  readonly maxWaitingEntries: number
}

export interface OutboxHost {
  /** The name of this node. */
  readonly name: string
  readonly limits: OutboxLimits
  readonly retries: Retries
  /** The topic in which all nodes are told that messages of any topic are lost. */
  readonly everyone: string
  publish(topic: string, batch: Batch): Promise<void>
  /** The store has the entries of this topic up to this number, or will never get them. */
  settled(topic: string, through: number): void
}

interface Waiting {
  readonly seq: number
  readonly bytes: Buffer
}

const maxBatchEntries = 500
const maxBatchBytes = 1024 * 1024
/** After this many failures while the store could be reached a batch is dropped: the store will never take it. */
const maxTries = 10

/** The entries of one topic that wait. */
interface Line extends Trying {
  readonly topic: string
  readonly queue: Fifo<Waiting>
  /** An entry that says that the entries before the queue are lost. It has the number of the last lost one. */
  lost: Waiting | undefined
  /** `lost` speaks of all topics. */
  lostAll: boolean
  /** The number of the next entry. */
  next: number
  /** The number of the last entry of the latest batch. */
  through: number
  state: 'idle' | 'sending' | 'resting'
  tries: number
}

export class Outbox {
  readonly #host: OutboxHost
  readonly #lines = new Map<string, Line>()
  /** The lines whose queues are not empty, the one that has waited longest first. */
  readonly #queued = new Set<Line>()
  /** The bytes that wait, including entries that tell of a loss. */
  #bytes = 0
  #entries = 0
  /** No line begins below this number, so that the numbers of a topic rise even if its line was forgotten meanwhile. */
  #next = 1
  #isUp = false
  #emptied: (() => void)[] = []

  constructor(host: OutboxHost) {
    this.#host = host
  }

  /** Whether something of this topic waits. */
  has(topic: string): boolean {
    return this.#lines.has(topic)
  }

  get waiting(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries, bytes: this.#bytes }
  }

  /** Resolves when nothing waits. */
  empty(): Promise<void> {
    if (this.#lines.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#emptied.push(resolve))
  }

  /** The number that the next entry of this topic gets. */
  nextOf(topic: string): number {
    return this.#lines.get(topic)?.next ?? this.#next
  }

  /** Publishes something as soon as it can. */
  add(topic: string, said: Said): void {
    const line = this.#line(topic)
    const seq = line.next++
    const { name: publisher, limits } = this.#host
    let bytes = writeEntry({ publisher, seq, said })
    if (bytes.length > limits.maxWaiting && this.#entries > 0)
      bytes = writeEntry({ publisher, seq, said: { kind: 'gap' } })
    this.#count({ seq, bytes }, 1)
    line.queue.push({ seq, bytes })
    this.#queued.add(line)
    this.#makeRoom(line)
    this.#send(line)
  }

  /** The store can be reached, or not. */
  connection(isUp: boolean): void {
    this.#isUp = isUp
    if (!isUp) return
    for (const line of [...this.#lines.values()]) {
      line.tries = 0
      if (line.state === 'resting') line.state = 'idle'
      this.#send(line)
    }
  }

  #line(topic: string): Line {
    let line = this.#lines.get(topic)
    if (!line) {
      const made: Line = {
        topic,
        queue: new Fifo(),
        lost: undefined,
        lostAll: false,
        next: this.#next,
        through: 0,
        state: 'idle',
        tries: 0,
        tryAgain: () => {
          if (made.state === 'resting') made.state = 'idle'
          this.#send(made)
        },
      }
      line = made
      this.#lines.set(topic, line)
    }
    return line
  }

  #send(line: Line): void {
    if (!this.#isUp || line.state !== 'idle') return
    const first = line.lost ?? line.queue.at(0)
    if (!first) return
    const entries = this.#batch(line, first)
    line.state = 'sending'
    line.tries++
    const batch = { publisher: this.#host.name, seq: first.seq, entries }
    this.#host.publish(line.topic, batch).then(
      () => this.#published(line),
      (error) => this.#failed(line, error),
    )
  }

  /** The entries of the next batch. A batch that failed has the same entries again, without those dropped meanwhile. */
  #batch(line: Line, first: Waiting): Uint8Array[] {
    const isRepeated = first.seq <= line.through
    const entries: Uint8Array[] = []
    let bytes = 0
    const take = (one: Waiting): void => {
      entries.push(one.bytes)
      bytes += one.bytes.length
      if (!isRepeated) line.through = one.seq
    }
    if (line.lost) take(line.lost)
    for (let i = 0; i < line.queue.length; i++) {
      const one = line.queue.at(i) as Waiting
      const isFull = entries.length >= maxBatchEntries || bytes + one.bytes.length > maxBatchBytes
      if (isRepeated ? one.seq > line.through : isFull && entries.length > 0) break
      take(one)
    }
    return entries
  }

  #published(line: Line): void {
    this.#host.retries.worked()
    line.state = 'idle'
    line.tries = 0
    const { through } = line
    while ((line.queue.at(0)?.seq ?? Number.POSITIVE_INFINITY) <= through) this.#take(line)
    if (line.lost && line.lost.seq <= through) this.#clear(line)
    this.#host.settled(line.topic, through)
    this.#send(line)
    this.#tidy(line)
  }

  #failed(line: Line, error: unknown): void {
    line.state = 'idle'
    this.#tidy(line)
    if (!this.#isUp) return
    if (error instanceof TakesNothing) line.tries = 0
    if (line.tries >= maxTries) {
      line.tries = 0
      while ((line.queue.at(0)?.seq ?? Number.POSITIVE_INFINITY) <= line.through) this.#drop(line)
    }
    line.state = 'resting'
    this.#host.retries.later(line)
  }

  /** Drops the oldest of this topic, or of others if this is the only one, until there is room. */
  #makeRoom(line: Line): void {
    const { maxWaiting, maxWaitingEntries } = this.#host.limits
    while (this.#entries > maxWaitingEntries || (this.#bytes > maxWaiting && this.#entries > 1)) {
      const longest = this.#queued.values().next().value
      if (line.queue.length > 1) this.#drop(line)
      else if (longest) this.#drop(longest)
      else {
        this.#loseAll()
        return
      }
    }
  }

  #drop(line: Line): void {
    this.#mark(line, this.#take(line).seq)
  }

  /** The entries that tell of a loss are too many themselves: one entry tells it for all topics. */
  #loseAll(): void {
    for (const line of [...this.#lines.values()]) {
      this.#clear(line)
      this.#tidy(line)
    }
    const line = this.#line(this.#host.everyone)
    line.lostAll = true
    this.#mark(line, line.next++)
    this.#send(line)
  }

  #take(line: Line): Waiting {
    const taken = line.queue.shift() as Waiting
    this.#count(taken, -1)
    if (line.queue.length === 0) this.#queued.delete(line)
    return taken
  }

  /** Notes that everything of this topic up to this number is lost. */
  #mark(line: Line, seq: number): void {
    const { name: publisher } = this.#host
    if (line.lost) this.#count(line.lost, -1)
    const said = { kind: line.lostAll ? ('gaps' as const) : ('gap' as const) }
    line.lost = { seq, bytes: writeEntry({ publisher, seq, said }) }
    this.#count(line.lost, 1)
  }

  #clear(line: Line): void {
    if (line.lost) this.#count(line.lost, -1)
    line.lost = undefined
    line.lostAll = false
  }

  #count({ bytes }: Waiting, one: 1 | -1): void {
    this.#entries += one
    this.#bytes += one * bytes.length
  }

  /** Forgets a line of which nothing waits. */
  #tidy(line: Line): void {
    if (line.lost || line.queue.length > 0 || line.state === 'sending') return
    this.#next = Math.max(this.#next, line.next)
    this.#lines.delete(line.topic)
    this.#host.settled(line.topic, line.next - 1)
    if (this.#lines.size === 0) for (const resolve of this.#emptied.splice(0)) resolve()
  }
}
