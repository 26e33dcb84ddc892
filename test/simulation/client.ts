/** The client's role: opens by a race, resumes, upgrades, falls back; and the carriers as the client drives them. */
import { Application } from './application.ts'
import { type Carrier, End } from './end.ts'
import type {
  AnswerHead,
  BodyRecord,
  Control,
  Limits,
  Link,
  Position,
  PortableSession as Session,
  Welcome,
} from './everwire.ts'
import type { Connection, Exchange, Network, Requester, Socket } from './network.ts'
import { sendFrame } from './server.ts'
import { Violation, type World } from './world.ts'

export type Transport = 'websocket' | 'stream' | 'polling'

const zero: Position = { number: 0, offset: 0 }
/** How long a carrier may take to bring its first answer. */
const proofTime = 3_000
const exchangeTime = 6_000

export interface ClientCarrier extends Carrier {
  readonly epoch: number
  readonly transport: Transport
  /** Has brought a welcome, and waits to be taken. */
  readonly standingBy: boolean
  /** The network under it is whole, as far as anybody could know. */
  readonly healthy: boolean
  /** When something came over it. */
  readonly heardAt: number
  take(): void
}

export class Client extends End {
  readonly network: Network
  readonly limits: Limits
  readonly id: Uint8Array
  readonly key: Uint8Array
  readonly budget: number
  declare carrier: ClientCarrier | undefined
  /** Carriers that have begun and are not in use. */
  others: ClientCarrier[] = []
  /** Leaves a carrier it gave up open for a while, and hears what still comes. */
  readonly lingers: boolean
  /** The next carriers are to be these. */
  prefers: Transport[] = []
  #epoch = 0
  #failures = 0
  #connecting = false

  constructor(world: World, network: Network, limits: Limits, budget: number) {
    super(world, new Application('client', world))
    this.network = network
    this.limits = limits
    this.budget = budget
    this.id = Uint8Array.from({ length: 12 }, () => world.random.between(0, 255))
    this.key = Uint8Array.from({ length: 16 }, () => world.random.between(0, 255))
    this.lingers = world.random.chance(0.5)
  }

  /** Starts one carrier, and another beside it if it is slow. */
  open(): void {
    const { random } = this.world
    this.start(this.#choose(), false)
    this.#watch()
    if (!random.chance(0.5)) return
    this.world.after(random.between(0, 200), () => {
      if (this.application.opened || this.gone) return
      this.world.count('client: raced two carriers')
      this.start(this.#choose(), true)
    })
  }

  /** Tries again until the session is open. */
  #watch(): void {
    this.world.after(proofTime, () => {
      if (this.application.opened || this.gone) return
      for (const carrier of [...this.others]) carrier.end('dead')
      this.start(this.#choose(), false)
      this.#watch()
    })
  }

  #choose(): Transport {
    const preferred = this.prefers.shift()
    if (preferred) return preferred
    if (this.network.noWebSockets) return this.world.random.pick(['stream', 'polling'])
    return this.world.random.pick(['websocket', 'websocket', 'stream', 'polling'])
  }

  start(transport: Transport, standby: boolean): ClientCarrier {
    const epoch = ++this.#epoch
    this.world.log(`client: starts ${transport} ${epoch}${standby ? ' standing by' : ''}`)
    const carrier =
      transport === 'websocket'
        ? new ClientWebSocket(this, epoch, standby)
        : new ClientHttp(this, epoch, standby, transport === 'stream')
    this.others.push(carrier)
    carrier.begin()
    return carrier
  }

  /** The head of a request, or of a handshake. */
  head(ask: number, epoch: number, serial: number, at: Position): Uint8Array {
    const { everwire } = this.world
    const to = new everwire.ByteWriter(80)
    everwire.writeRequestHead(to, {
      ask,
      id: this.id,
      key: this.key,
      epoch,
      serial,
      quiet: 0,
      life: 0,
      has: this.session?.received ?? zero,
      at,
    })
    return to.whole()
  }

  /** The first word of the server on a carrier. Opens the session if none is. */
  welcomed(carrier: ClientCarrier): boolean {
    const { world } = this
    this.#failures = 0
    if (this.gone) {
      carrier.end('closed')
      return false
    }
    if (this.session === undefined) {
      this.session = new world.everwire.PortableSession(this.limits, world.now)
      this.application.opened++
      if (carrier.epoch > 1) world.count('client: opened by a later carrier')
    }
    if (carrier.epoch >= this.session.epoch) return true
    world.count('client: an older carrier came late')
    carrier.end('closed')
    return false
  }

  /** Sends on this carrier from now on. */
  use(carrier: ClientCarrier, has: Position): void {
    const { world } = this
    const session = this.session as Session
    const older = this.carrier
    if (session.acknowledged.number < has.number) world.count('client: was told of more at the start')
    const result = session.attach(carrier.link, has, world.now)
    if (result === 'impossible') throw new Violation('the server has what was never sent')
    if (result === 'older') throw new Violation('an older carrier was to be used')
    this.carrier = carrier
    remove(this.others, carrier)
    world.log(`client: uses ${carrier.transport} ${carrier.epoch} from ${carrier.link.sent}`)
    if (older && older !== carrier) {
      if (older.transport === 'websocket' || carrier.transport === 'websocket') {
        if (older.transport !== carrier.transport)
          world.count(`switch: ${older.transport} to ${carrier.transport}`)
      }
      if (session.received.offset > 0) world.count('switch: with a partial message here')
      if (session.acknowledged.offset > 0) world.count('switch: with a partial message there')
      if (this.lingers) world.after(world.random.between(0, 2000), () => older.end('closed'))
      else older.end('closed')
    }
    this.touched()
  }

  /** A carrier has ended by itself. */
  lost(carrier: ClientCarrier): void {
    remove(this.others, carrier)
    if (this.carrier === carrier) {
      this.carrier = undefined
      this.session?.detach(carrier.link, this.world.now)
      this.touched()
      this.#fallBack()
    } else if (this.session && this.carrier === undefined) this.#fallBack()
  }

  /** Another carrier that is there already, or a new one. */
  #fallBack(): void {
    if (this.session === undefined || this.gone) return
    const survivor = this.others.find((other) => other.standingBy && other.epoch > (this.session?.epoch ?? 0))
    if (survivor) {
      this.world.count('client: fell back to a carrier that survived')
      survivor.take()
      // Whether it really did is seen by an answer: the silence of a whole session would be too long to wait.
      this.session.ping('there?')
      const from = this.world.now
      this.world.after(proofTime, () => {
        if (this.carrier !== survivor || survivor.heardAt > from) return
        this.world.count('client: a survivor was dead')
        survivor.end('dead')
        this.lost(survivor)
      })
      return
    }
    this.reconnect()
  }

  reconnect(): void {
    if (this.#connecting) return
    this.#connecting = true
    const { random } = this.world
    const pause = Math.min(1000, random.between(0, 100) * 2 ** Math.min(this.#failures++, 4))
    this.world.after(pause, () => {
      this.#connecting = false
      if (this.gone || this.carrier || this.session === undefined) return
      this.world.count('client: resumes')
      for (const other of [...this.others]) other.end('dead')
      const carrier = this.start(this.#choose(), false)
      this.world.after(proofTime, () => {
        if (!this.others.includes(carrier) || this.gone) return
        carrier.end('dead')
        if (this.carrier === undefined) this.reconnect()
      })
    })
  }

  /** The network changed: what is in use is given up although nothing is known against it. */
  renew(): void {
    const { carrier } = this
    if (carrier === undefined) return
    if (this.world.random.chance(0.5)) {
      // The new one takes over from the living one.
      this.start(this.#choose(), false)
      return
    }
    carrier.end('dead')
    this.lost(carrier)
  }

  restore(): void {
    const { everwire } = this.world
    const session = this.session as Session
    const snapshot = structuredClone(session.snapshot())
    if (snapshot.partial.length > 0) this.world.count('snapshot: with a partial message')
    if (snapshot.undelivered.length > 0) this.world.count('snapshot: with undelivered events')
    if (snapshot.out.length > 0) this.world.count('snapshot: with unacknowledged messages')
    if (snapshot.ownClose > 0) this.world.count('snapshot: while closing')
    this.world.count('snapshot: client')
    const { carrier } = this
    this.session = everwire.PortableSession.restore(snapshot, session.limits, this.world.now)
    carrier?.end('dead')
    for (const other of [...this.others]) other.end('dead')
    this.carrier = undefined
    this.reconnect()
    this.touched()
  }

  fail(code: number, reason: string): void {
    this.application.failed = true
    this.session?.fail(code, reason, this.world.now)
    this.touched()
  }

  /** The server does not know the session. */
  unknown(): void {
    this.world.count('client: unknown to the server')
    this.session?.abortArrived(1006, '')
    this.touched()
  }

  protected override dropped(link: Link): void {
    const { carrier } = this
    if (carrier?.link !== link) return
    carrier.end('dead')
    this.lost(carrier)
  }

  protected override finished(): void {
    this.carrier?.end('closed')
    this.carrier = undefined
    for (const other of [...this.others]) other.end('closed')
  }
}

class ClientWebSocket implements ClientCarrier, Socket {
  readonly transport = 'websocket'
  readonly epoch: number
  readonly link: Link
  readonly busy = false
  standingBy = false
  heardAt = 0
  readonly #client: Client
  readonly #standby: boolean
  #connection: Connection | undefined
  #welcome: Welcome | undefined
  #ended = false

  constructor(client: Client, epoch: number, standby: boolean) {
    const { everwire } = client.world
    this.#client = client
    this.#standby = standby
    this.epoch = epoch
    this.link = new everwire.Link(epoch, everwire.ackDelay)
  }

  get healthy(): boolean {
    const connection = this.#connection
    return connection !== undefined && !connection.cut && !connection.up.silent && !connection.down.silent
  }

  begin(): void {
    const client = this.#client
    const { Ask } = client.world.everwire
    const ask = (this.#standby ? Ask.standby : 0) + (client.session === undefined ? Ask.open : 0)
    client.network.connect(client.head(ask, this.epoch, 0, zero), this, (connection) => {
      if (this.#ended) connection.break()
      else this.#connection = connection
    })
  }

  take(): void {
    const client = this.#client
    const session = client.session as Session
    const got = this.#welcome?.got ?? 0
    this.standingBy = false
    client.world.count('client: took over with a carrier that stood by')
    if (!session.acknowledge({ number: got, offset: 0 }))
      throw new Violation('the server has what was never sent')
    this.link.got = session.received.number
    client.use(this, session.acknowledged)
    this.#say({ kind: 'take', got: this.link.got, start: this.link.sent })
  }

  flush(): void {
    const { session, world } = this.#client
    const connection = this.#connection
    if (session === undefined || connection === undefined || this.#ended || this.standingBy) return
    while (connection.hasRoom(connection.up)) {
      const frame = session.poll(this.link)
      if (frame === undefined) return
      sendFrame(world.everwire, frame, (data) => connection.send(connection.up, data))
    }
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    remove(this.#client.others, this)
    const connection = this.#connection
    if (connection) connection.close(connection.up)
  }

  closed(): void {
    if (this.#ended) return
    this.#ended = true
    this.standingBy = false
    this.#client.lost(this)
  }

  drained(): void {
    this.flush()
  }

  received(data: string | Uint8Array): void {
    const client = this.#client
    if (this.#ended || client.gone) return
    const { world, session } = client
    this.heardAt = world.now
    if (typeof data === 'string' && data[0] === '\0' && data[1] !== '\0') {
      this.#obey(world.everwire.decodeControl(data))
      client.touched()
      return
    }
    if (session === undefined) throw new Violation('a message before the welcome')
    if (this.link.got < session.received.number) world.count('client: a repeated message')
    if (session.link !== this.link) world.count('client: a message on an older carrier')
    if (session.received.offset > 0) world.count('client: a whole message instead of the rest of it')
    const text = typeof data === 'string'
    session.receive(
      this.link,
      text ? 'text' : 'binary',
      text && data[0] === '\0' ? data.slice(1) : data,
      world.now,
    )
    client.touched()
  }

  #obey(control: Control | undefined): void {
    const client = this.#client
    const { world } = client
    if (control?.kind === 'welcome') {
      this.#welcome = control
      if (!client.welcomed(this)) return
      if (this.#standby) {
        this.standingBy = true
        // The first to open is used; a later one if it is better, or if there is no other.
        if (client.carrier === undefined || world.random.chance(0.5)) this.take()
        return
      }
      this.link.got = control.start ?? 0
      client.use(this, { number: control.got, offset: 0 })
      if (this.link.sent !== control.got) throw new Violation('the ends count differently')
      return
    }
    const session = client.session
    if (control?.kind === 'abort' && (session === undefined || this.link !== session.link)) {
      // A carrier that was refused: only a session that is open can be unknown.
      if (session) client.unknown()
      return
    }
    if (session === undefined) return
    if (control?.kind === 'ack' && session.link !== this.link)
      world.count('client: an acknowledgement on an older carrier')
    if (control?.kind === 'superseded') {
      world.count('client: was superseded')
      this.end()
      if (session.link === this.link) client.lost(this)
    } else client.obey(session, this.link, control)
  }

  #say(control: Control): void {
    if (!this.#ended)
      this.#connection?.send(this.#connection.up, this.#client.world.everwire.encodeControl(control))
  }
}

class ClientHttp implements ClientCarrier {
  readonly transport: 'stream' | 'polling'
  readonly epoch: number
  readonly link: Link
  standingBy = false
  heardAt = 0
  readonly #client: Client
  readonly #standby: boolean
  #proven = false
  /** A request of this epoch without `standby` was made: the server takes, or has taken, this carrier. */
  #taking = false
  #welcomed = false
  /** Its first answer brings a welcome. */
  readonly #opens: boolean
  #supersededHeld = false
  #short: ClientExchange | undefined
  #held: ClientExchange | undefined
  #shortSerial = 0
  #heldSerial = 0
  /** The next request asks the server to start again: something may have been lost. */
  again = false
  #againHeld = false
  #failures = 0
  #ended = false

  constructor(client: Client, epoch: number, standby: boolean, stream: boolean) {
    const { everwire } = client.world
    this.#client = client
    this.#standby = standby
    this.#opens = standby || client.session === undefined
    this.transport = stream ? 'stream' : 'polling'
    this.epoch = epoch
    this.link = new everwire.Link(epoch, everwire.ackDelayByRequest)
  }

  get healthy(): boolean {
    return !this.#ended
  }

  get busy(): boolean {
    const session = this.#client.session as Session
    return !this.#ended && (this.#short !== undefined || session.wants(this.link))
  }

  begin(): void {
    this.#taking = !this.#standby
    this.#ask()
  }

  take(): void {
    const client = this.#client
    this.standingBy = false
    this.#taking = true
    client.world.count('client: took over with a carrier that stood by')
    client.use(this, (client.session as Session).acknowledged)
  }

  flush(): void {
    const { session } = this.#client
    if (this.#ended || session === undefined || session.link !== this.link) return
    if (this.#short === undefined && (this.again || session.wants(this.link))) this.#ask()
    if (this.#held === undefined && !session.done) this.#hold()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.standingBy = false
    remove(this.#client.others, this)
    this.#short?.abandon()
    this.#held?.abandon()
  }

  /** A short exchange. */
  #ask(): void {
    const client = this.#client
    const { everwire } = client.world
    const { Ask } = everwire
    let ask = this.again ? Ask.again : 0
    if (!this.#taking) ask |= Ask.standby
    // Only while no session is open: it must not make a second one.
    if (this.#opens && !this.#welcomed && client.session === undefined) ask |= Ask.open
    this.again = false
    this.#short = this.#request(ask, ++this.#shortSerial, this.#proven && this.#taking)
  }

  #hold(): void {
    const { Ask } = this.#client.world.everwire
    const ask = Ask.hold | (this.transport === 'stream' ? Ask.stream : 0) | (this.#againHeld ? Ask.again : 0)
    this.#againHeld = false
    this.#held = this.#request(ask, ++this.#heldSerial, false)
  }

  #request(ask: number, serial: number, messages: boolean): ClientExchange {
    const client = this.#client
    const { session, world } = client
    const { everwire } = world
    const { link } = this
    const at = { number: link.sent, offset: link.sentOffset }
    const to = new everwire.ByteWriter()
    to.bytes(client.head(ask, this.epoch, serial, at))
    if (session && session.link === link && (ask & everwire.Ask.hold) === 0) {
      everwire.writeControls(to, session, link)
      if (messages && everwire.writeMessages(to, session, link, client.budget))
        world.count('client: a body was full')
      if (link.sentOffset > 0) world.count('client: cut a message')
    }
    if (session?.link === link) session.ackStated()
    return new ClientExchange(this, client, (ask & everwire.Ask.hold) !== 0, to.whole())
  }

  /** What the head of an answer says. Returns whether the records are to be read. */
  headed({ status, has, at }: AnswerHead, held: boolean): boolean {
    const client = this.#client
    const { Status } = client.world.everwire
    if (this.#ended || client.gone) return false
    const { session } = client
    this.#failures = 0
    if (status === Status.unknown) {
      // A session that never opened cannot be unknown; the next request opens it.
      if (session) client.unknown()
      this.end()
      return false
    }
    if (status === Status.superseded) {
      client.world.count('client: was superseded')
      if (held && !this.#supersededHeld && session?.link === this.link) {
        // A request that was repeated on the way ends itself: ask once more before giving up.
        this.#supersededHeld = true
        this.#againHeld = true
        return false
      }
      this.end()
      client.lost(this)
      return false
    }
    this.#supersededHeld = false
    if (session === undefined) return true
    if (!this.#proven && !this.#opens) {
      if (!client.welcomed(this)) return false
      this.#proven = true
      client.use(this, has)
    } else if (session.link === this.link && !session.ackArrived(has, client.world.now)) {
      client.fail(1002, 'bad acknowledgement')
    }
    const { received } = session
    if (held && session.link === this.link && at.number > received.number) {
      // What stood in an answer that never came.
      client.world.count('client: a gap before the first record')
      this.again = true
    }
    return true
  }

  record(record: BodyRecord, has: Position, at: { number: number; offset: number }, held: boolean): void {
    const client = this.#client
    const { world } = client
    const { everwire, now } = world
    if (this.#ended || client.gone) return
    if (record.kind === 'welcome') {
      const welcome = everwire.readWelcome(everwire.decodeText(record.payload) as string)
      if (welcome === undefined) throw new Violation('a welcome that cannot be read')
      if (this.#welcomed || !client.welcomed(this)) return
      this.#welcomed = true
      this.#proven = true
      if (this.#taking) client.use(this, has)
      else {
        this.standingBy = true
        if (client.carrier === undefined || world.random.chance(0.5)) this.take()
      }
      return
    }
    const { session } = client
    if (session === undefined) throw new Violation('a record before the welcome')
    if (record.kind === 'pong') session.pongArrived(everwire.decodeText(record.payload) as string, now)
    else if (record.kind === 'ping' || record.kind === 'abort')
      everwire.hear(session, this.link, record, now, at)
    else {
      if (session.over) world.count('client: something arrived after the end')
      if (session.link !== this.link) world.count('client: a message on an older carrier')
      if (at.number < session.received.number) world.count('client: a repeated message')
      else if (session.received.offset > at.offset) world.count('client: a repeated piece')
      if (everwire.hear(session, this.link, record, now, at)) return
      world.count('client: a gap')
      this.again = true
      if (held) this.flush()
    }
  }

  /** An exchange is over. `has` is what the server said in its head, if it said anything. */
  exchanged(exchange: ClientExchange, failed: boolean): void {
    const client = this.#client
    const { session, world } = client
    const current = exchange === this.#short || exchange === this.#held
    if (!current) return
    const short = exchange === this.#short
    const done = (): void => {
      if (short) this.#short = undefined
      else this.#held = undefined
      if (this.#ended || client.gone) return
      if (this.#proven || this.standingBy) client.touched()
      else if (short && this.#opens && !this.#standby && client.session) this.end()
      else if (short) this.#ask()
    }
    if (this.#ended) {
      done()
      return
    }
    if (failed) {
      world.count('client: an exchange failed')
      if (short) {
        this.again = true
        session?.resend(this.link)
      } else this.#againHeld = true
      if (++this.#failures > 4) {
        this.end()
        client.lost(this)
        done()
        return
      }
      world.after(world.random.between(0, 200), done)
      return
    }
    if (short && session?.link === this.link && exchange.has) {
      const { has } = exchange
      const { sent, sentOffset } = this.link
      if (has.number < sent || (has.number === sent && has.offset < sentOffset)) {
        world.count('client: the server had not all of it')
        session.resend(this.link)
      }
    }
    done()
  }

  /** Something came: the carrier lives. */
  heard(): number {
    const { session, world } = this.#client
    if (session?.link === this.link) session.heard(world.now)
    this.heardAt = world.now
    return world.now
  }

  settled(): void {
    if (!this.#ended) this.#client.touched()
  }
}

class ClientExchange implements Requester {
  has: Position | undefined
  readonly #carrier: ClientHttp
  readonly #held: boolean
  readonly #reader: InstanceType<World['everwire']['BodyReader']> & { head?: unknown }
  readonly #exchange: Exchange
  #at = { number: 0, offset: 0 }
  #deaf = false
  #over = false
  #heardAt = 0

  constructor(carrier: ClientHttp, client: Client, held: boolean, body: Uint8Array) {
    const { world, network } = client
    this.#carrier = carrier
    this.#held = held
    this.#reader = new world.everwire.BodyReader(world.everwire.readAnswerHead, 1 << 20) as never
    this.#exchange = network.request(body, this)
    this.#watch(client.world, held ? 15_000 + exchangeTime : exchangeTime)
  }

  /** Short answers show that the server lives, not that a stream does: each exchange is judged by its own bytes. */
  #watch(world: World, patience: number): void {
    this.#heardAt = world.now
    const look = (): void => {
      if (this.#over) return
      const left = this.#heardAt + patience - world.now
      if (left > 0) {
        world.after(left, look)
        return
      }
      world.count('client: an exchange fell silent')
      this.#exchange.abandon()
      this.failed()
    }
    world.after(patience, look)
  }

  abandon(): void {
    this.#over = true
    this.#exchange.abandon()
  }

  chunk(bytes: Uint8Array): void {
    if (this.#over) return
    this.#heardAt = this.#carrier.heard()
    const first = this.has === undefined
    const records = this.#reader.push(bytes)
    const head = this.#reader.head as AnswerHead | undefined
    if (head === undefined) return
    if (first) {
      this.has = head.has
      this.#at = { number: head.at.number, offset: head.at.offset }
      this.#deaf = !this.#carrier.headed(head, this.#held)
    }
    if (!this.#deaf)
      for (const record of records) this.#carrier.record(record, head.has, this.#at, this.#held)
    this.#carrier.settled()
  }

  ended(): void {
    if (this.#over) return
    this.#over = true
    this.#carrier.exchanged(this, !this.#reader.complete)
  }

  failed(): void {
    if (this.#over) return
    this.#over = true
    this.#carrier.exchanged(this, true)
  }
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
}
