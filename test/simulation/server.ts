/** The server's role: a registry that is asked asynchronously, and the carriers as the server drives them. */
import { Application } from './application.ts'
import { type Carrier, End } from './end.ts'
import type {
  AnswerHead,
  BodyRecord,
  Control,
  Frame,
  Limits,
  Link,
  Position,
  RequestHead,
  PortableSession as Session,
  Welcome,
} from './everwire.ts'
import type { Connection, Listener, Response, Socket } from './network.ts'
import { Violation, type World } from './world.ts'

const zero: Position = { number: 0, offset: 0 }
const heartbeat = 15_000

export interface Settings {
  readonly limits: Limits
  readonly budget: number
}

/** One session, as the server's socket holds it. */
export class ServerEnd extends End {
  readonly id: string
  readonly #server: Server

  constructor(server: Server, id: string, application: Application) {
    super(server.world, application)
    this.id = id
    this.#server = server
    this.session = new server.world.everwire.PortableSession(server.settings.limits, server.world.now)
  }

  take(carrier: Carrier, has: Position): 'attached' | 'older' | 'impossible' {
    const session = this.session as Session
    const older = this.carrier
    const result = session.attach(carrier.link, has, this.world.now)
    if (result !== 'attached') return result
    if (older && older !== carrier) {
      this.world.count('server: took over from a living carrier')
      older.end('superseded')
    }
    this.carrier = carrier
    this.touched()
    return result
  }

  lost(carrier: Carrier): void {
    this.session?.detach(carrier.link, this.world.now)
    if (this.carrier === carrier) this.carrier = undefined
    this.touched()
  }

  fail(code: number, reason: string): void {
    this.application.failed = true
    this.session?.fail(code, reason, this.world.now)
    this.touched()
  }

  /** What is here moves to another process: written down, taken up again, every carrier gone. */
  restore(): void {
    const { everwire } = this.world
    const session = this.session as Session
    const snapshot = structuredClone(session.snapshot())
    if (snapshot.partial.length > 0) this.world.count('snapshot: with a partial message')
    if (snapshot.undelivered.length > 0) this.world.count('snapshot: with undelivered events')
    if (snapshot.out.length > 0) this.world.count('snapshot: with unacknowledged messages')
    if (snapshot.ownClose > 0) this.world.count('snapshot: while closing')
    this.world.count('snapshot: server')
    this.carrier?.end('dead')
    this.carrier = undefined
    this.session = everwire.PortableSession.restore(snapshot, session.limits, this.world.now)
    this.touched()
  }

  protected override dropped(link: Link): void {
    const { carrier } = this
    if (carrier?.link !== link) return
    this.lost(carrier)
    carrier.end('dead')
  }

  protected override finished(): void {
    this.#server.forget(this)
    this.carrier?.end('closed')
    this.carrier = undefined
  }
}

export class Server implements Listener {
  readonly world: World
  readonly settings: Settings
  readonly application: Application
  /** The one session the server ever has: there is one client. */
  end: ServerEnd | undefined
  readonly #sessions = new Map<string, ServerEnd>()
  /** Sessions that were: what still asks to open one of them comes late. */
  readonly #ended = new Set<string>()
  /** The registry answers after up to so many milliseconds. */
  lookup: number

  constructor(world: World, settings: Settings) {
    this.world = world
    this.settings = settings
    this.application = new Application('server', world)
    this.lookup = world.random.pick([0, 0, 5, 80])
  }

  forget(end: ServerEnd): void {
    this.#sessions.delete(end.id)
    this.#ended.add(end.id)
  }

  find(head: RequestHead, then: (end: ServerEnd | undefined) => void): void {
    const { world } = this
    const id = String(head.id)
    world.after(world.random.between(0, this.lookup), () => {
      let end = this.#sessions.get(id)
      if (end === undefined && (head.ask & world.everwire.Ask.open) !== 0) {
        if (this.#ended.has(id)) world.count('server: asked to open what has ended')
        else {
          if (this.end) throw new Violation('the server made two sessions of one')
          end = new ServerEnd(this, id, this.application)
          this.end = end
          this.application.opened++
          this.#sessions.set(id, end)
        }
      }
      if (end === undefined) world.count('server: unknown session')
      then(end)
    })
  }

  welcome(): Omit<Welcome, 'got' | 'start'> {
    return { protocol: '', heartbeat, patience: this.settings.limits.patience, maxBody: this.settings.budget }
  }

  connection(connection: Connection, bytes: Uint8Array): Socket {
    const { everwire } = this.world
    const head = everwire.readRequestHead(new everwire.ByteReader(bytes))
    if (head === undefined) throw new Violation('a handshake without a head')
    const carrier = new ServerWebSocket(this, connection, head)
    this.find(head, (end) => {
      if (!connection.cut) carrier.begin(end)
    })
    return carrier
  }

  request(body: Uint8Array, response: Response): void {
    const { everwire } = this.world
    const reader = new everwire.BodyReader(everwire.readRequestHead, 1 << 20)
    const records = reader.push(body)
    const { head } = reader
    if (head === undefined || !reader.complete) throw new Violation('a request that cannot be read')
    this.find(head, (end) => {
      if (end === undefined) answer(this.world, response, everwire.Status.unknown, zero)
      else this.#join(end, head, records, response)
    })
  }

  #join(end: ServerEnd, head: RequestHead, records: BodyRecord[], response: Response): void {
    const { everwire, now } = this.world
    const { Ask, Status } = everwire
    const session = end.session as Session
    const welcome = (head.ask & (Ask.open | Ask.standby)) !== 0
    if ((head.ask & Ask.standby) !== 0) {
      answer(this.world, response, Status.ok, session.received, this.#welcomeFor(session))
      return
    }
    let carrier = end.carrier
    if (!(carrier instanceof ServerHttp) || carrier.epoch !== head.epoch) {
      const joined = new ServerHttp(end, head.epoch, this.settings.budget)
      const taken = end.take(joined, head.has)
      if (taken === 'impossible') throw new Violation('the client has what was never sent')
      if (taken === 'older') {
        this.world.count('server: fenced an older exchange')
        answer(this.world, response, Status.superseded, session.received)
        return
      }
      carrier = joined
    }
    const http = carrier as ServerHttp
    if (!session.ackArrived(head.has, now)) throw new Violation('acknowledged what was never sent')
    const at = { number: head.at.number, offset: head.at.offset }
    for (const record of records) {
      if (record.kind === 'pong') session.pongArrived(everwire.decodeText(record.payload) as string, now)
      else if (record.kind === 'ping' || record.kind === 'abort')
        everwire.hear(session, http.link, record, now, at)
      else if (record.kind !== 'hello') {
        if (session.over && !session.done) this.world.count('server: something arrived after the end')
        if (at.number < session.received.number) this.world.count('server: a repeated message')
        else if (session.received.offset > at.offset) this.world.count('server: a repeated piece')
        if (!everwire.hear(session, http.link, record, now, at)) this.world.count('server: a gap')
      }
    }
    if ((head.ask & Ask.hold) !== 0) http.hold(head, response)
    else http.answer(head, response, welcome ? this.#welcomeFor(session) : undefined)
    end.touched()
  }

  #welcomeFor(session: Session): string {
    return JSON.stringify({ got: session.received.number, ...this.welcome() })
  }
}

class ServerWebSocket implements Carrier, Socket {
  readonly epoch: number
  readonly link: Link
  readonly busy = false
  readonly #server: Server
  readonly #connection: Connection
  readonly #head: RequestHead
  #end: ServerEnd | undefined
  #standby = false
  #ended = false

  constructor(server: Server, connection: Connection, head: RequestHead) {
    const { everwire } = server.world
    this.#server = server
    this.#connection = connection
    this.#head = head
    this.epoch = head.epoch
    this.link = new everwire.Link(head.epoch, everwire.ackDelay)
  }

  begin(end: ServerEnd | undefined): void {
    const { Ask } = this.#server.world.everwire
    if (this.#ended) return
    if (end === undefined) {
      this.#refuse()
      return
    }
    this.#end = end
    const session = end.session as Session
    const got = session.received.number
    this.link.got = got
    this.#standby = (this.#head.ask & Ask.standby) !== 0
    if (this.#standby) {
      this.#say({ kind: 'welcome', got, ...this.#server.welcome() })
      return
    }
    const { has } = this.#head
    const taken = end.take(this, { number: has.number, offset: 0 })
    if (taken === 'impossible') throw new Violation('the client has what was never sent')
    if (taken === 'older') {
      this.#server.world.count('server: an older carrier came late')
      this.end('superseded')
    } else this.#say({ kind: 'welcome', got, start: this.link.sent, ...this.#server.welcome() })
    this.flush()
  }

  flush(): void {
    const session = this.#end?.session
    if (session === undefined || this.#ended) return
    const { everwire } = this.#server.world
    while (this.#connection.hasRoom(this.#connection.down)) {
      const frame = session.poll(this.link)
      if (frame === undefined) return
      sendFrame(everwire, frame, (data) => this.#connection.send(this.#connection.down, data))
    }
  }

  end(why: 'superseded' | 'closed' | 'dead'): void {
    if (this.#ended) return
    if (why === 'superseded') this.#say({ kind: 'superseded' })
    this.#ended = true
    this.#connection.close(this.#connection.down)
  }

  closed(): void {
    if (this.#ended) return
    this.#ended = true
    this.#end?.lost(this)
  }

  drained(): void {
    this.flush()
  }

  received(data: string | Uint8Array): void {
    const end = this.#end
    if (this.#ended || end === undefined) return
    const { world } = this.#server
    const session = end.session as Session
    if (session.link !== this.link && !this.#standby) return
    if (typeof data !== 'string' || data[0] !== '\0' || data[1] === '\0') {
      if (this.link.got < session.received.number) world.count('server: a repeated message')
      const text = typeof data === 'string'
      if (session.received.offset > 0) world.count('server: a whole message instead of the rest of it')
      session.receive(
        this.link,
        text ? 'text' : 'binary',
        text && data[0] === '\0' ? data.slice(1) : data,
        world.now,
      )
    } else this.#obey(end, session, world.everwire.decodeControl(data))
    end.touched()
  }

  #obey(end: ServerEnd, session: Session, control: Control | undefined): void {
    if (control?.kind !== 'take' || !this.#standby) {
      end.obey(session, this.link, control)
      return
    }
    this.#standby = false
    this.link.got = control.start
    const taken = end.take(this, { number: control.got, offset: 0 })
    if (taken === 'impossible') throw new Violation('the client has what was never sent')
    if (taken === 'older') this.end('superseded')
    else if (this.link.sent !== control.got || control.start > session.received.number) {
      throw new Violation('the ends count differently')
    }
  }

  #refuse(): void {
    this.#say({ kind: 'abort', code: 1006, reason: '' })
    this.end('closed')
  }

  #say(control: Control): void {
    if (this.#ended) return
    this.#connection.send(this.#connection.down, this.#server.world.everwire.encodeControl(control))
  }
}

class ServerHttp implements Carrier {
  readonly epoch: number
  readonly link: Link
  readonly busy = false
  readonly #end: ServerEnd
  readonly #budget: number
  #held: { response: Response; stream: boolean } | undefined
  #shorts: { response: Response; welcome: string | undefined }[] = []
  #heldSerial = 0
  #shortSerial = 0
  /** A request was answered twice; whether what the second answer brought arrived is told by the next one. */
  #doubtful = false
  #ended = false

  constructor(end: ServerEnd, epoch: number, budget: number) {
    const { everwire } = end.world
    this.#end = end
    this.#budget = budget
    this.epoch = epoch
    this.link = new everwire.Link(epoch, everwire.ackDelayByRequest)
  }

  get #session(): Session {
    return this.#end.session as Session
  }

  answer(head: RequestHead, response: Response, welcome: string | undefined): void {
    this.#arrived(head, head.serial <= this.#shortSerial)
    this.#shortSerial = Math.max(this.#shortSerial, head.serial)
    this.#shorts.push({ response, welcome })
  }

  hold(head: RequestHead, response: Response): void {
    const { world } = this.#end
    if (head.serial < this.#heldSerial) {
      world.count('server: an overtaken held exchange')
      answer(world, response, world.everwire.Status.superseded, this.#session.received)
      return
    }
    this.#arrived(head, head.serial === this.#heldSerial)
    this.#heldSerial = head.serial
    this.#release()
    const stream = (head.ask & world.everwire.Ask.stream) !== 0
    const held = { response, stream }
    this.#held = held
    response.onClose = () => {
      if (this.#held !== held) return
      this.#held = undefined
      world.count('server: a held exchange was cut')
    }
    response.onDrain = () => this.#end.touched()
    if (stream) this.#write(held, true)
  }

  flush(): void {
    const shorts = this.#shorts
    this.#shorts = []
    for (const { response, welcome } of shorts) this.#respond(response, welcome)
    const held = this.#held
    if (held?.stream) this.#write(held, false)
    else if (held && this.#session.wants(this.link, false)) {
      this.#held = undefined
      this.#respond(held.response, undefined)
    }
  }

  end(why: 'superseded' | 'closed' | 'dead'): void {
    if (this.#ended) return
    this.#ended = true
    const { world } = this.#end
    const { Status } = world.everwire
    const held = this.#held
    this.#held = undefined
    for (const { response, welcome } of this.#shorts) {
      if (why === 'closed') this.#respond(response, welcome)
      else answer(world, response, Status.superseded, this.#session.received)
    }
    this.#shorts = []
    if (held === undefined) return
    if (why === 'dead') held.response.break()
    else if (held.stream) held.response.end()
    else if (why === 'closed') this.#respond(held.response, undefined)
    else answer(world, held.response, Status.superseded, this.#session.received)
  }

  #arrived(head: RequestHead, repeated: boolean): void {
    const { world } = this.#end
    const { everwire } = world
    if (repeated) world.count('server: a repeated request')
    const doubtful = this.#doubtful
    this.#doubtful = repeated
    if ((head.ask & everwire.Ask.again) === 0 && !repeated && !doubtful) return
    world.count('server: again')
    // The places in a body follow one another: what goes back begins another body.
    if (this.#held?.stream) this.#release()
    this.#session.resend(this.link)
  }

  #release(): void {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    const { world } = this.#end
    if (held.stream) held.response.end()
    else answer(world, held.response, world.everwire.Status.superseded, this.#session.received)
  }

  #respond(response: Response, welcome: string | undefined): void {
    const { everwire } = this.#end.world
    const session = this.#session
    const to = new everwire.ByteWriter()
    everwire.writeAnswerHead(to, { status: everwire.Status.ok, has: session.received, at: this.#at })
    if (welcome !== undefined) everwire.writeRecord(to, 'welcome', everwire.encodeText(welcome))
    if (!this.#held?.stream) {
      this.#writeControls(to)
      everwire.writeMessages(to, session, this.link, this.#budget)
    }
    session.ackStated()
    response.write(to.whole())
    response.end()
  }

  #write(held: { response: Response; stream: boolean }, begin: boolean): void {
    const { everwire } = this.#end.world
    const session = this.#session
    const to = new everwire.ByteWriter()
    if (begin) {
      everwire.writeAnswerHead(to, { status: everwire.Status.ok, has: session.received, at: this.#at })
      held.response.write(to.whole())
    }
    while (session.wants(this.link, false) && !held.response.needsDrain) {
      const more = new everwire.ByteWriter()
      this.#writeControls(more)
      everwire.writeMessages(more, session, this.link, this.#budget)
      if (more.size === 0) throw new Violation('the session wants to send, and has nothing')
      held.response.write(more.whole())
    }
  }

  #writeControls(to: InstanceType<World['everwire']['ByteWriter']>): void {
    const { everwire } = this.#end.world
    everwire.writeControls(to, this.#session, this.link)
  }

  get #at(): Position {
    return { number: this.link.sent, offset: this.link.sentOffset }
  }
}

/** A frame of the session as a WebSocket says it. */
export function sendFrame(
  everwire: World['everwire'],
  frame: Frame,
  send: (data: string | Uint8Array) => void,
): void {
  if (frame.kind === 'binary') send(frame.data as Uint8Array)
  else if (frame.kind === 'text') {
    const text =
      typeof frame.data === 'string'
        ? (everwire.decodeText(everwire.encodeText(frame.data)) as string)
        : (everwire.decodeText(frame.data) as string)
    send(text[0] === everwire.escape ? everwire.escape + text : text)
  } else if ('data' in frame) send(everwire.controlText(frame.kind, frame.data as string))
  else send(everwire.controlText(frame.kind, frame.payload))
}

function answer(
  world: World,
  response: Response,
  status: AnswerHead['status'],
  has: Position,
  welcome?: string,
): void {
  const { everwire } = world
  const to = new everwire.ByteWriter(64)
  everwire.writeAnswerHead(to, { status, has, at: zero })
  if (welcome !== undefined) everwire.writeRecord(to, 'welcome', everwire.encodeText(welcome))
  response.write(to.whole())
  response.end()
}
