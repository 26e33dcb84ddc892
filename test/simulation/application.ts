/** What an application does with one end, and the promises it was given. */
import type { Message, PortableSession as Session, SessionEvent } from './everwire.ts'
import { Violation, type World } from './world.ts'

interface Sent {
  readonly text: string | undefined
  readonly bytes: Uint8Array
}

const letters = 'abcdefghijklmnopqrstuvwxyz é ß 漢字 \u{1F30D} '.repeat(200)
const bytes = Uint8Array.from({ length: 8192 }, (_, i) => (i * 167) % 251)

export class Application {
  readonly name: 'client' | 'server'
  readonly world: World
  peer!: Application
  readonly sent: Sent[] = []
  /** Bytes of payload sent up to and with each message. */
  readonly sizes: number[] = [0]
  received = 0
  opened = 0
  closed: { code: number; reason: string; clean: boolean } | undefined
  /** The close of this application's own, if it was the first to say so here. */
  closedWith: { code: number; reason: string } | undefined
  /** Takes no events for a while. */
  paused = false
  /** The other end was told a code by the session itself: its fault, or its failure. */
  failed = false

  constructor(name: 'client' | 'server', world: World) {
    this.name = name
    this.world = world
  }

  /** Sends one message. Returns what the session said, and keeps count of what it accepted. */
  send(session: Session, size: number): 'taken' | 'closed' | 'full' {
    const { everwire, random } = this.world
    let message: Message
    let sent: Sent
    const start = random.between(0, 1000)
    if (random.chance(0.6)) {
      const begin = random.chance(0.2) ? '\0'.repeat(random.between(1, 2)) : ''
      const mark = `${this.sent.length}:`
      const text = size === 0 ? '' : begin + mark + letters.slice(start, start + size)
      const encoded = everwire.encodeText(text)
      sent = { text: everwire.decodeText(encoded) as string, bytes: encoded }
      message = everwire.textMessage(
        this.name === 'server' && random.chance(0.5) ? encoded : text,
        everwire.encodeText(text).length,
      )
    } else {
      const data = bytes.slice(start, start + size)
      if (size > 0) data[0] = this.sent.length
      sent = { text: undefined, bytes: data }
      message = everwire.binaryMessage(data)
    }
    const result = session.send(message)
    if (result !== 'taken') return result
    this.sent.push(sent)
    this.sizes.push((this.sizes.at(-1) as number) + message.size)
    return result
  }

  close(session: Session, code: number, reason: string): void {
    if (session.closing || session.over) return
    this.closedWith = { code, reason }
    session.close(code, reason, this.world.now)
  }

  /** Bytes that were accepted and are not acknowledged. */
  queued(session: Session): number {
    return (this.sizes.at(-1) as number) - (this.sizes[session.acknowledged.number] ?? this.sizes.at(-1) ?? 0)
  }

  take(event: SessionEvent): void {
    if (event.type === 'message') this.#message(event.binary, event.data)
    else if (event.type === 'close') this.#close(event)
    else if (event.type !== 'drop') {
      if (this.closed) throw new Violation(`${this.name}: ${event.type} after close`)
      this.world.count(`application: ${event.type}`)
    }
  }

  #message(binary: boolean, data: string | Uint8Array): void {
    if (this.closed) throw new Violation(`${this.name}: a message after close`)
    const expected = this.peer.sent[this.received]
    if (expected === undefined) {
      throw new Violation(`${this.name}: message ${this.received + 1} was never sent`)
    }
    this.received++
    const { everwire } = this.world
    const same =
      binary === (expected.text === undefined) &&
      (typeof data === 'string'
        ? expected.text ===
          (/[\ud800-\udfff]/.test(data) ? everwire.decodeText(everwire.encodeText(data)) : data)
        : equal(expected.bytes, data))
    if (!same) throw new Violation(`${this.name}: message ${this.received} is not what was sent`)
  }

  #close({ code, reason, clean }: { code: number; reason: string; clean: boolean }): void {
    if (this.closed) throw new Violation(`${this.name}: a second close`)
    this.closed = { code, reason, clean }
    this.world.log(`${this.name}: closed ${code} ${reason} ${clean ? 'clean' : ''}`)
    if (!clean) return
    const { peer } = this
    if (this.received !== peer.sent.length) {
      throw new Violation(
        `${this.name}: closed cleanly with ${this.received} of ${peer.sent.length} messages`,
      )
    }
    const expected = peer.closedWith ?? this.closedWith
    if (peer.failed) return
    if (code !== expected?.code || reason !== expected.reason) {
      throw new Violation(`${this.name}: closed with ${code} "${reason}", not ${JSON.stringify(expected)}`)
    }
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
