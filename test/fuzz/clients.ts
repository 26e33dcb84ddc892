/** The client, and what its servers and networks answer: over HTTP, or on a WebSocket. */
import type { Transport, WebSocketOptions } from '../../client/base/types.ts'
import type { FakeSocket } from '../client/fakes.ts'
import { cutUp } from './bodies.ts'
import { Ask } from './guest.ts'
import { type Events, type Post, Runtime } from './native.ts'
import { checkClientText, isWireCode, type Place, type SaidRequest, Violation } from './reading.ts'
import {
  answerBytes,
  controlOf,
  Kind,
  part,
  someCode,
  someControl,
  someNumber,
  someParts,
  someText,
  twistParts,
} from './words.ts'
import type { Batch, World } from './world.ts'

type Client = InstanceType<World['everwire']['WebSocket']>

/** More requests than that in one run are a loop: so many at once, and one more after so many milliseconds. */
const mostAsked = 30
const askPause = 100

const ways: Record<'answers' | 'controls', readonly (readonly Transport[])[]> = {
  answers: [
    ['polling'],
    ['stream'],
    ['sse'],
    ['stream', 'polling'],
    ['sse', 'polling'],
    ['websocket', 'polling'],
  ],
  controls: [['websocket'], ['websocket'], ['websocket'], ['websocket', 'stream']],
}

export class Clients implements Batch {
  readonly #world: World
  readonly #mode: 'answers' | 'controls'
  readonly #runtime: Runtime
  readonly #Class: World['everwire']['WebSocket']
  #client: Client | undefined
  /** The application offers a subprotocol. */
  #offers = false
  #opened = 0
  #closed = 0
  /** What the server that is imitated has of the client's messages, and has sent itself. */
  #taken: Place = { number: 0, offset: 0 }
  #sent = 0

  constructor(world: World, mode: 'answers' | 'controls') {
    this.#world = world
    this.#mode = mode
    const runtime = new Runtime(world)
    this.#runtime = runtime
    this.#Class = class extends world.everwire.WebSocket {
      protected static override readonly platform = runtime.platform
    }
  }

  async run(): Promise<void> {
    const world = this.#world
    const { random } = world
    const asked = this.#runtime.asked
    const began = world.clock.now
    if (!this.#client || this.#client.readyState === 3) await this.#connect()
    if (!this.#feed()) await world.pass(random.one([100, 300, 1000]))
    await world.turns(2)
    const what = random.below(30)
    if (what < 6) this.#act()
    else if (what < 9) await world.pass(random.one([1, 160, 400, 1000]))
    else if (what === 9) await world.pass(random.one([5000, 20_000]))
    if (what < 10) await world.turn()
    if (this.#runtime.asked - asked > mostAsked + (world.clock.now - began) / askPause)
      throw new Violation(
        `${this.#runtime.asked - asked} requests in one run: ${JSON.stringify(this.#client?.diary.slice(-6))}`,
      )
    this.#check()
  }

  async finish(): Promise<void> {
    await this.#end()
    if (this.#world.clock.waiting > 0) throw new Violation('timers are left')
  }

  async #connect(): Promise<void> {
    const world = this.#world
    const { random } = world
    await this.#end()
    this.#opened = this.#closed = this.#sent = 0
    this.#taken = { number: 0, offset: 0 }
    const options: WebSocketOptions = {
      transports: random.one(ways[this.#mode]),
      remember: false,
      patience: random.chance(10) ? 30_000 : random.one([500, 3000]),
      connectTimeout: random.one([300, 10_000]),
      maxBuffered: random.chance(10) ? 300 : 64 * 1024 * 1024,
      maxPayload: random.chance(10) ? 30 : 100 * 1024 * 1024,
    }
    this.#runtime.dead = false
    this.#offers = random.chance(20)
    const client = new this.#Class('ws://server.example/', this.#offers ? ['a'] : [], options)
    this.#client = client
    client.binaryType = 'arraybuffer'
    client.onopen = () => {
      world.count('opened')
      if (this.#opened++ > 0 || this.#closed > 0) throw new Violation('opened once more')
    }
    client.onmessage = () => {
      world.count('message')
      if (this.#opened !== 1 || this.#closed > 0) throw new Violation('a message at the wrong time')
      if (random.chance(20)) client.send('answer')
    }
    client.onclose = ({ code }) => {
      world.count(`closed ${code < 3000 ? code : 'by the server'}`)
      if (this.#closed++ > 0) throw new Violation('closed twice')
      if (!isWireCode(code) && code !== 1005 && code !== 1006)
        throw new Violation(`the application saw the close code ${code}`)
    }
    await world.turn()
  }

  /** The network goes away for good: the client has to notice. */
  async #end(): Promise<void> {
    const client = this.#client
    if (!client) return
    const world = this.#world
    const runtime = this.#runtime
    runtime.dead = true
    for (const post of runtime.posts.splice(0)) post.fail()
    for (const source of runtime.sources.splice(0)) if (!source.closed) source.onerror?.()
    for (const socket of runtime.sockets.splice(0)) socket.fail()
    for (let i = 0; i < 20 && client.readyState < 3; i++) await world.pass(10_000)
    await world.turns(2)
    if (client.readyState < 3 || this.#closed !== 1)
      throw new Violation(
        `the client is in state ${client.readyState}, closed ${this.#closed} times: ${JSON.stringify(client.diary)} ${client.transport} ${client.bufferedAmount}`,
      )
    await world.passAll()
    this.#client = undefined
  }

  #check(): void {
    for (const { sent } of this.#runtime.sockets) {
      for (const said of sent.splice(0)) if (typeof said === 'string') checkClientText(said)
    }
  }

  /** The application does something. */
  #act(): void {
    const { random } = this.#world
    const client = this.#client
    if (client?.readyState !== 1) return
    const what = random.below(12)
    if (what < 5) client.send('some text')
    else if (what < 8) client.send(new Uint8Array(random.one([0, 50, 400, 20_000])))
    else if (what === 8) client.send('\0zero')
    else if (what === 9 && random.chance(20)) client.close(random.one([1000, 3000, 4999]), 'done')
  }

  /** Whether there was somebody to answer. */
  #feed(): boolean {
    const { random } = this.#world
    const { posts, sources, sockets } = this.#runtime
    forget(posts, ({ state }) => state === 'over')
    forget(sources, ({ closed }) => closed)
    forget(sockets, ({ closed }) => closed)
    const some: (() => void)[] = []
    for (const post of posts) some.push(() => this.#answer(post))
    for (const source of sources) some.push(() => this.#event(source))
    for (const socket of sockets) some.push(() => this.#say(socket))
    if (some.length === 0) this.#world.count('nothing to answer')
    else random.one(some)()
    return some.length > 0
  }

  // ---- over HTTP ----

  #answer(post: Post): void {
    const world = this.#world
    const { random } = world
    if (post.state === 'begun') {
      this.#goOn(post)
      return
    }
    const how = random.below(60)
    if (how === 0) post.refuse(random.one([0, 204, 302, 400, 401, 403, 404, 413, 500, 502, 503]))
    else if (how === 1) post.fail()
    else if (how === 2) post.answerWhole(Buffer.from('<html>Sign in</html>'))
    if (how < 3) {
      world.count('not answered')
      return
    }
    const bytes = this.#body(post.said)
    world.say('answer', bytes)
    if (random.chance(10)) {
      post.answerWhole(bytes)
      return
    }
    post.begin()
    for (const piece of cutUp(world, bytes)) post.give(piece)
    const streams = (post.said.ask & (Ask.hold | Ask.stream)) === (Ask.hold | Ask.stream)
    if (streams && random.chance(85)) {
      if (random.chance(90)) post.give(Buffer.from([Kind.pong, 0]))
    } else if (random.chance(96)) post.give(undefined)
    else post.fail()
  }

  /** More of a stream. */
  #goOn(post: Post): void {
    const { random } = this.#world
    const what = random.below(30)
    if (what === 0) post.give(undefined)
    else if (what === 1) post.fail()
    else {
      let bytes = this.#records()
      if (random.chance(10)) bytes = random.mutated(bytes)
      this.#world.say('stream', bytes)
      for (const piece of cutUp(this.#world, bytes)) post.give(piece)
    }
  }

  #event(source: Events): void {
    const { random } = this.#world
    let bytes = source.head
      ? this.#records()
      : answerBytes(0, this.#taken, { number: this.#sent, offset: 0 }, [part(Kind.pong, Buffer.alloc(0))])
    if (random.chance(10)) bytes = random.mutated(bytes)
    source.head = true
    let data = bytes.toString('base64')
    if (random.chance(5)) data = random.mutated(Buffer.from(data)).toString('latin1')
    this.#world.say('event', Buffer.from(data, 'latin1'))
    this.#world.count('event')
    if (random.chance(3)) source.onerror?.()
    else source.onmessage?.({ data })
  }

  #body(said: SaidRequest): Buffer {
    const { random } = this.#world
    this.#count(said)
    const parts = someParts(random, true)
    if ((said.ask & (Ask.open | Ask.standby)) !== 0) parts.unshift(part(Kind.welcome, this.#welcome(false)))
    if ((said.ask & Ask.ticket) !== 0) parts.unshift(part(Kind.ticket, Buffer.from('A'.repeat(40))))
    const has = { ...this.#taken }
    const at = random.chance(80) ? { ...said.has } : { number: this.#sent, offset: 0 }
    for (const { kind, more } of parts) if (kind <= Kind.close && !more) at.number++
    this.#sent = Math.max(this.#sent, at.number)
    for (const { kind, more } of parts) if (kind <= Kind.close && !more) at.number--
    if (!random.chance(15)) {
      this.#world.count('valid answer')
      return answerBytes(0, has, at, parts)
    }
    let status = 0
    switch (random.below(6)) {
      case 0:
        status = random.one([1, 1, 2, 3, 255])
        break
      case 1:
        has.number = someNumber(random, has.number)
        break
      case 2:
        has.offset = someNumber(random, has.offset)
        break
      case 3:
        at.number = someNumber(random, at.number)
        at.offset = random.chance(50) ? 0 : someNumber(random, at.offset)
        break
      case 4:
        twistParts(random, parts, part(Kind.text, Buffer.from('x')))
        break
      case 5:
        return random.mutated(answerBytes(0, has, at, parts, random))
    }
    return answerBytes(status, has, at, parts, random)
  }

  /** What a server has once it has taken a request. */
  #count({ at, records }: SaidRequest): void {
    const place = { ...at }
    const taken = this.#taken
    for (const { kind, more, payload } of records) {
      if (kind > Kind.close) continue
      if (more) place.offset += payload.length
      else {
        place.number++
        place.offset = 0
      }
      const ahead = place.number - taken.number || place.offset - taken.offset
      if (ahead > 0) Object.assign(taken, place)
    }
  }

  #records(): Buffer {
    const { random } = this.#world
    const parts = someParts(random, true)
    if (random.chance(10)) twistParts(random, parts, part(Kind.text, Buffer.from('x')))
    const odd = random.chance(10) ? random : undefined
    // Behind a head, which a stream has only once.
    const none = { number: 0, offset: 0 }
    return answerBytes(0, none, none, parts, odd).subarray(6)
  }

  // ---- on a WebSocket ----

  #say(socket: FakeSocket): void {
    const { random } = this.#world
    const what = random.below(100)
    const welcomed = socket.protocol !== ''
    if (what === 0) socket.fail(random.one([1000, 1001, 1006, 1006, 3000]), random.one(['', 'gone']))
    else if (what === 1) socket.onerror?.({ message: 'failed' })
    else if (!welcomed && !random.chance(5)) {
      Object.assign(socket, { protocol: 'everwire.1' })
      this.#hear(socket, controlOf(Kind.welcome, `${this.#welcome(true)}`))
      if (random.chance(90)) this.#hear(socket, controlOf(Kind.pong, ''))
    } else if (what < 40) this.#hear(socket, someText(random).toString())
    else if (what < 60) {
      const bytes = random.bytes(60)
      this.#world.say('binary', bytes)
      socket.receive(Uint8Array.from(bytes).buffer)
    } else if (what < 63) this.#hear(socket, controlOf(Kind.welcome, `${this.#welcome(true)}`))
    else if (what < 66)
      this.#hear(
        socket,
        controlOf(Kind.close, `${someCode(random)},${'r'.repeat(random.one([0, 123, 200]))}`),
      )
    else if (what < 70) this.#hear(socket, controlOf(Kind.long, `${someNumber(random, 60)}`))
    else if (what < 73)
      this.#hear(socket, random.mutated(Buffer.from(controlOf(Kind.ack, '1'))).toString('latin1'))
    else this.#hear(socket, someControl(random, random.chance(97) ? 0 : 1, 0, true).toString())
  }

  #hear(socket: FakeSocket, text: string): void {
    this.#world.say('text', Buffer.from(text))
    socket.receive(text)
  }

  #welcome(onSocket: boolean): Buffer {
    const { random } = this.#world
    const welcome: Record<string, unknown> = {
      got: this.#taken.number,
      ...(onSocket && random.chance(80) && { start: 0 }),
      protocol: this.#offers || random.chance(1) ? 'a' : '',
      heartbeat: 15_000,
      patience: 30_000,
      maxBody: random.one([256, 65_536]),
    }
    if (random.chance(3)) {
      const name = random.one(Object.keys(welcome))
      welcome[name] = random.one([-1, 1e300, null, 'a', 2 ** 53, 0, 1, [], undefined, 0.5])
    }
    const bytes = Buffer.from(JSON.stringify(welcome))
    return random.chance(1) ? random.mutated(bytes) : bytes
  }
}

function forget<T>(list: T[], over: (one: T) => boolean): void {
  for (let i = list.length - 1; i >= 0; i--) if (over(list[i] as T)) list.splice(i, 1)
}
