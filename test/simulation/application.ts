/** What an application does with one end, and the promises it was given. */
import { Violation, type World } from './world.ts'

interface Sent {
  readonly text: string | undefined
  readonly bytes: Uint8Array
}

/** What of a session is looked at, at either end. */
export interface Looked {
  readonly acknowledged: { readonly number: number; readonly offset: number }
  readonly received: { readonly number: number; readonly offset: number }
  readonly lastNumber: number
  readonly unsentBytes: number
  readonly epoch: number
  readonly heardAt: number
  readonly link: { readonly epoch: number } | undefined
  readonly closing: boolean
  readonly over: boolean
  readonly done: boolean
}

const letters = 'abcdefghijklmnopqrstuvwxyz é ß 漢字 \u{1F30D} '.repeat(3000)
/** Where each of them begins in their UTF-8, and where the last one ends. The second half of a pair begins with its first. */
const places = placesIn(letters)
const encodedLetters = Buffer.from(letters)
const bytes = Uint8Array.from({ length: 120_000 }, (_, i) => (i * 167) % 251)
/** What a message costs a session beside its payload. */
const overhead = 64
/** The largest message that is sent, in bytes. */
const largest = 85_000

const nothing: Sent = { text: '', bytes: Buffer.alloc(0) }

function placesIn(text: string): Uint32Array {
  const places = new Uint32Array(text.length + 1)
  let at = 0
  for (let i = 0; i < text.length; i++) {
    places[i] = at
    if (isSecondHalf(text, i)) places[i] = at - 4
    else at += Buffer.byteLength(text.slice(i, isSecondHalf(text, i + 1) ? i + 2 : i + 1))
  }
  places[text.length] = at
  return places
}

function isSecondHalf(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xdc00
}

/** A text of these letters. What would be their encoding is copied: to encode each anew takes longer than to send it. */
function textOf(head: string, start: number, end: number): Sent {
  const text = head + letters.slice(start, end)
  if (isSecondHalf(letters, start) || isSecondHalf(letters, end)) {
    // Half a character at either end becomes U+FFFD, as the standard says.
    const encoded = Buffer.from(text)
    return { text: encoded.toString(), bytes: encoded }
  }
  const [first, last] = [places[start] as number, places[Math.min(end, letters.length)] as number]
  const encoded = Buffer.allocUnsafe(head.length + last - first)
  encoded.write(head, 'latin1')
  encoded.set(encodedLetters.subarray(first, last), head.length)
  return { text, bytes: encoded }
}

export abstract class Application {
  readonly name: 'client' | 'server'
  readonly world: World
  readonly maxBuffered: number
  peer!: Application
  readonly sent: Sent[] = []
  /** What it sent after those, and has forgotten: some of it may still be on its way. */
  forgotten: Sent[] = []
  /** Bytes of payload sent up to and with each message. */
  readonly sizes: number[] = [0]
  received = 0
  opened = 0
  closed: { code: number; reason: string; clean: boolean } | undefined
  /** The close of this application's own. After it, it is told nothing more. */
  closedWith: { code: number; reason: string } | undefined
  /** The other end is told a code by the session itself: its fault, or its failure. */
  failed = false
  /** Larger messages would be under way for longer than there is patience. */
  most = largest
  /** It was ended without a goodbye that arrives in order: what the other end is told is no close of an application. */
  abrupt = false
  /** Of the newest carrier that was in use. */
  newest = 0

  constructor(name: 'client' | 'server', world: World, maxBuffered: number) {
    this.name = name
    this.world = world
    this.maxBuffered = maxBuffered
  }

  abstract readonly session: Looked | undefined
  abstract readonly isOpen: boolean
  protected abstract transmit(message: string | Uint8Array): void
  protected abstract beginClose(code: number, reason: string): void

  /** Bytes, and what goes with them, that were accepted and are not acknowledged. */
  get queued(): number {
    const { session } = this
    if (!session) return 0
    const { number } = session.acknowledged
    const waiting = this.sent.length - number
    const before = this.sizes[number]
    return before === undefined || waiting <= 0
      ? 0
      : (this.sizes.at(-1) as number) - before + waiting * overhead
  }

  /** Sends one message, unless it is too late, or the session would be given up for what waits. */
  say(size: number, evenIfFull = false): void {
    if (!this.isOpen || this.closedWith) return
    if (this.queued >= this.maxBuffered && !evenIfFull) return
    const { random } = this.world
    const start = random.between(0, 1000)
    size = Math.min(size, this.most)
    let sent: Sent
    if (random.chance(0.6)) {
      const begin = random.chance(0.2) ? '\0'.repeat(random.between(1, 2)) : ''
      sent = size === 0 ? nothing : textOf(`${begin}${this.sent.length}:`, start, start + size)
    } else {
      const data = bytes.slice(start, start + size)
      if (size > 0) data[0] = this.sent.length
      sent = { text: undefined, bytes: data }
    }
    const full = this.queued >= this.maxBuffered
    this.transmit(sent.text ?? sent.bytes)
    if (full) {
      this.abrupt = true
      this.world.count('send: full')
      if (this.isOpen && !this.session?.over)
        this.world.fail(`${this.name}: ${this.queued} bytes wait, of ${this.maxBuffered}`)
      return
    }
    this.sent.push(sent)
    this.sizes.push((this.sizes.at(-1) as number) + sent.bytes.length)
  }

  close(code: number, reason: string): void {
    if (!this.isOpen || this.closedWith) return
    if (!this.session?.over && !this.session?.closing) this.closedWith = { code, reason }
    this.beginClose(code, reason)
  }

  took(data: string | Uint8Array, binary: boolean): void {
    const { world, name } = this
    if (this.closed) world.fail(`${name}: a message after close`)
    const { sent, forgotten } = this.peer
    const expected = sent[this.received] ?? forgotten[this.received - sent.length]
    if (expected === undefined) {
      world.fail(`${name}: message ${this.received + 1} was never sent`)
      return
    }
    this.received++
    const same =
      binary === (expected.text === undefined) &&
      (typeof data === 'string' ? expected.text === data : Buffer.compare(expected.bytes, data) === 0)
    if (!same) world.fail(`${name}: message ${this.received} is not what was sent`)
  }

  wasOpened(): void {
    this.opened++
    if (this.opened > 1) this.world.fail(`${this.name}: opened more than once`)
    if (this.closed) this.world.fail(`${this.name}: opened after close`)
  }

  wasClosed(code: number, reason: string, clean: boolean): void {
    const { world, name, peer } = this
    if (this.closed) world.fail(`${name}: a second close`)
    this.closed = { code, reason, clean }
    world.log(`${name}: closed ${code} ${reason} ${clean ? 'clean' : ''}`)
    if (!clean) return
    if (!this.closedWith && this.received !== peer.sent.length)
      world.fail(`${name}: closed cleanly with ${this.received} of ${peer.sent.length} messages`)
    const expected = peer.closedWith ?? this.closedWith
    if (peer.failed) return
    if (code !== expected?.code || reason !== expected.reason)
      world.fail(`${name}: closed with ${code} "${reason}", not ${JSON.stringify(expected)}`)
  }

  /** What must be so whenever it is looked at. */
  check(): void {
    const { session } = this
    if (!session) return
    if (session.epoch < this.newest) throw new Violation(`${this.name}: went back to an older carrier`)
    this.newest = session.epoch
    if (this.closedWith && !session.closing && !session.over)
      throw new Violation(`${this.name}: has forgotten its own close`)
    const { queued } = this
    if (queued > this.maxBuffered + largest + 2 * overhead)
      throw new Violation(`${this.name}: ${queued} bytes wait, of ${this.maxBuffered}`)
    // The reason of a close is counted, too.
    if (!this.abrupt && (session.unsentBytes < 0 || session.unsentBytes > queued + 123))
      throw new Violation(`${this.name}: ${session.unsentBytes} bytes unsent of ${queued}`)
  }

  get isQuiet(): boolean {
    const { session, peer } = this
    if (!session) return false
    return (
      session.acknowledged.number >= this.sent.length &&
      (this.received === peer.sent.length || !!this.closedWith)
    )
  }
}
