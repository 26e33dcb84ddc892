/** One request and its answer, and what the network does to them. */
import { Answer, type AnswerChanges } from './answer.ts'
import { Deadline } from './deadline.ts'
import type { Faults } from './faults.ts'
import { knownHeaders } from './headers.ts'
import { Body, type Head, header, requestFraming, writeHead } from './http.ts'
import type { Overtaking } from './overtaking.ts'
import { type Page, page, signInPath, signInTitle } from './pages.ts'
import type { Direction } from './types.ts'

/** What an exchange needs from the connection that it is on. */
export interface Way {
  readonly faults: Readonly<Faults>
  readonly overtaking: Overtaking
  /** The URL of this network. */
  readonly url: string
  draw(name: string, index: number): number
  strike(name: keyof Faults): void
  /** When this fault got its present value. */
  switchedAt(name: keyof Faults): number
  toServer(bytes: Buffer): void
  toClient(bytes: Buffer): void
  /** Sends a request over a connection of its own, and calls `answered` at the first byte of its answer. */
  sendAside(request: Buffer, method: string, answered: () => void): void
  /** A WebSocket handshake goes to the server. */
  handshake(): void
  /** The connection has become a WebSocket. */
  opened(): void
  /** The answer was the last one on this connection: leave the server. */
  finish(): void
  cut(): void
  /** Stops passing data in these directions, without telling either side. */
  mute(...directions: Direction[]): void
  /** Stops reading from the server until `run` is called. */
  holdServer(resume: (run: () => void) => void): void
}

// How long after it was sent a request counts as received, if no answer shows that earlier.
const settleTime = 25
// Limit for a request that is held back or sent twice.
const maxCollected = 16 * 1024 * 1024

const mutes: Readonly<Record<'mute' | 'mute to server' | 'mute to client', readonly Direction[]>> = {
  mute: ['to server', 'to client'],
  'mute to server': ['to server'],
  'mute to client': ['to client'],
}

export class Exchange {
  /** Whether all of the request has come. */
  requestDone = false
  /** Whether all of the answer has been passed on. */
  answered = false
  readonly #head: Head
  readonly #method: string
  readonly #isWebSocket: boolean
  readonly #index: number
  readonly #way: Way
  readonly #changed: () => void
  readonly #body: Body
  readonly #answer: Answer
  #fate: 'pass' | 'collect' | 'discard' = 'pass'
  #collected: Buffer[] = []
  #losesAnswer = false
  #mutes: readonly Direction[] = []
  #begun = false
  #sentAt = Number.POSITIVE_INFINITY
  readonly #limit = new Deadline(() => this.#tooLong())
  #stopWaiting: (() => void) | undefined
  #onReached: (() => void)[] = []

  /** `changed` is called when the exchange moves by itself: a held request was sent, or an answer is complete. */
  constructor(head: Head, isWebSocket: boolean, index: number, way: Way, changed: () => void) {
    const [method = ''] = head.first.split(' ')
    this.#method = method
    this.#isWebSocket = isWebSocket
    this.#head = head
    this.#index = index
    this.#way = way
    this.#changed = changed
    this.#body = new Body(requestFraming(head))
    this.#answer = new Answer(method, this.#changes(), {
      head: () => this.#answerBegins(),
      pass: (bytes) => {
        this.#begun = true
        way.toClient(bytes)
      },
      done: () => this.#answerDone(),
      overflow: () => way.cut(),
    })
  }

  /** Whether the request has come, and is held back for now. */
  get isHeld(): boolean {
    return this.requestDone && this.#fate === 'collect'
  }

  get over(): boolean {
    return this.requestDone && this.answered
  }

  /** Whether the following bytes belong to another protocol. */
  get switched(): boolean {
    return this.#answer.switched
  }

  begin(): void {
    this.#decide()
    if (this.#fate !== 'discard') this.#forward(this.#requestHead())
    if (this.#body.done) this.#requestComplete()
  }

  /** Takes the bytes that belong to the request, and returns the rest. */
  takeRequest(bytes: Buffer): Buffer {
    const taken = this.#body.take(bytes)
    if (this.#fate !== 'discard') {
      if (this.#body.size > this.#way.faults.maxBody) this.#tooLarge()
      else this.#forward(bytes.subarray(0, taken))
    }
    if (this.#body.done) this.#requestComplete()
    return bytes.subarray(taken)
  }

  /** Takes the bytes that belong to the answer, and returns the rest. */
  takeAnswer(bytes: Buffer): Buffer {
    const rest = this.#answer.take(bytes)
    if (this.#answer.full) this.#way.holdServer((resume) => this.#answer.whenNotFull(resume))
    return rest
  }

  /** The server's connection has ended. Returns whether the answer is complete, even if not yet passed on. */
  takeEnd(): boolean {
    return this.answered || this.#answer.takeEnd()
  }

  /** Sets the timers again: a limit has been switched on or off. */
  retime(): void {
    const { answerLimit } = this.#way.faults
    const since = Math.max(this.#sentAt, this.#way.switchedAt('answerLimit'))
    this.#limit.set(this.answered ? Number.POSITIVE_INFINITY : since + answerLimit)
  }

  /** Drops the exchange: the connection is over. */
  drop(): void {
    this.answered = true
    this.#limit.set(Number.POSITIVE_INFINITY)
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
    this.#onReached = []
    this.#answer.drop()
  }

  // What happens to the request

  #decide(): void {
    const { faults } = this.#way
    if (faults.captive !== false) this.#signIn(faults.captive)
    else if (this.#isWebSocket && faults.upgrade !== 'pass') this.#handshake(faults.upgrade)
    else if (faults.strip && this.#method !== 'GET' && this.#method !== 'POST')
      this.#reply('strip', { status: 405 })
    else if (this.#strikes('errorPages')) this.#errorPage()
    else if (Number(header(this.#head, 'content-length')) > faults.maxBody) this.#tooLarge()
    if (this.#fate === 'discard') return
    this.#losesAnswer = this.#strikes('loseAnswers')
    if (this.#isWebSocket) this.#way.handshake()
    if (this.#method !== 'POST' || header(this.#head, 'expect') !== '') return
    if (this.#strikes('overtake') || this.#strikes('repeatPosts')) this.#fate = 'collect'
  }

  #strikes(name: 'errorPages' | 'loseAnswers' | 'repeatPosts' | 'overtake'): boolean {
    const value = this.#way.faults[name]
    const rate = typeof value === 'number' ? value : value[0]
    return this.#way.draw(name, this.#index) < rate
  }

  #signIn(how: 'page' | 'redirect' | true): void {
    const redirects = how === 'redirect' && this.#head.first.split(' ')[1] !== signInPath
    const keep = !this.#isWebSocket
    if (redirects) this.#reply('captive', { status: 302, keep, location: this.#way.url + signInPath })
    else this.#reply('captive', { status: 200, keep, title: signInTitle })
  }

  #handshake(upgrade: Exclude<Faults['upgrade'], 'pass'>): void {
    if (upgrade === 'swallow') {
      this.#fate = 'discard'
      this.#way.strike('upgrade')
      this.#way.mute('to server', 'to client')
    } else if (upgrade === 'redirect') {
      this.#reply('upgrade', { status: 302, location: this.#way.url + signInPath })
    } else if (upgrade === 'page') this.#reply('upgrade', { status: 200, title: signInTitle })
    else if (typeof upgrade === 'number') this.#reply('upgrade', { status: upgrade })
    else this.#mutes = mutes[upgrade]
  }

  #errorPage(): void {
    const status = 502 + Math.floor(3 * this.#way.draw('errorPages: status', this.#index))
    const keep = !this.#isWebSocket
    this.#reply('errorPages', { status, keep })
  }

  #tooLarge(): void {
    this.#reply('maxBody', { status: 413 })
  }

  /** Answers instead of the server. The rest of the request is thrown away. */
  #reply(name: keyof Faults, answer: Page): void {
    this.#fate = 'discard'
    this.#collected = []
    this.#way.strike(name)
    this.#answer.drop()
    this.#way.toClient(page(answer, this.#method === 'HEAD'))
    if (!answer.keep) this.#way.finish()
    this.#answerDone()
  }

  #requestHead(): Buffer {
    if (!this.#way.faults.strip) return this.#head.raw
    const headers = knownHeaders(this.#head)
    if (headers.length < this.#head.headers.length) this.#way.strike('strip')
    return writeHead(this.#head.first, headers)
  }

  #forward(bytes: Buffer): void {
    if (this.#fate === 'pass') this.#way.toServer(bytes)
    else {
      this.#collected.push(bytes)
      if (this.#body.size > maxCollected) this.#pass()
    }
  }

  /** Passes the kept part of the request on, and from now on all that follows. */
  #pass(): Buffer {
    const request = Buffer.concat(this.#collected)
    this.#collected = []
    this.#fate = 'pass'
    this.#way.toServer(request)
    return request
  }

  #requestComplete(): void {
    this.requestDone = true
    if (this.#fate === 'pass') this.#sent()
    else if (this.#fate === 'collect') {
      if (this.#strikes('overtake')) this.#letOvertake()
      else this.#sendTwice()
    }
  }

  #letOvertake(): void {
    const { overtake } = this.#way.faults
    const within = typeof overtake === 'number' ? 1000 : overtake[1]
    this.#stopWaiting = this.#way.overtaking.hold(this.#index, within, (overtaken) => {
      if (overtaken) this.#way.strike('overtake')
      if (this.#strikes('repeatPosts')) this.#sendTwice()
      else {
        this.#pass()
        this.#sent()
        this.#changed()
      }
    })
  }

  /** Sends the request twice, the second time after the first has reached the server. The client gets either answer. */
  #sendTwice(): void {
    this.#way.strike('repeatPosts')
    if (this.#way.draw('repeatPosts: answer', this.#index) < 0.5) {
      const request = this.#pass()
      this.#onReached.push(() => this.#way.sendAside(request, this.#method, () => {}))
      this.#sent()
      this.#changed()
      return
    }
    const request = Buffer.concat(this.#collected)
    const next = this.#once(() => {
      this.#pass()
      this.#sent()
      this.#changed()
    })
    this.#way.sendAside(request, this.#method, next)
  }

  /** All of the request has gone to the server. */
  #sent(): void {
    this.#sentAt = performance.now()
    this.retime()
    if (this.#method !== 'POST') return
    this.#onReached.push(() => this.#way.overtaking.reached(this.#index))
    if (this.#onReached.length > 1 || this.#way.overtaking.isAwaited(this.#index)) {
      this.#once(() => this.#reached())
    }
  }

  #reached(): void {
    for (const run of this.#onReached.splice(0)) run()
  }

  /** Returns a function that calls `run`, and calls it after a while by itself: only once, and not after the connection's end. */
  #once(run: () => void): () => void {
    const go = (): void => {
      if (this.#stopWaiting !== stop) return
      stop()
      this.#stopWaiting = undefined
      run()
    }
    const timer = setTimeout(go, settleTime)
    const stop = (): void => clearTimeout(timer)
    this.#stopWaiting = stop
    return go
  }

  // What happens to the answer

  #changes(): AnswerChanges {
    const { strip, gzip, buffer } = this.#way.faults
    const mayGzip = gzip && this.#head.first.endsWith('HTTP/1.1') && acceptsGzip(this.#head)
    return { strip, gzip: mayGzip, buffer }
  }

  #answerBegins(): boolean {
    this.#reached()
    if (this.#losesAnswer) {
      this.#way.strike('loseAnswers')
      this.#way.cut()
      return false
    }
    return true
  }

  #answerDone(): void {
    this.answered = true
    this.#limit.set(Number.POSITIVE_INFINITY)
    for (const name of this.#answer.made) this.#way.strike(name)
    if (this.switched) this.#switched()
    this.#changed()
  }

  /** The 101 has passed. */
  #switched(): void {
    this.requestDone = true
    if (!this.#isWebSocket) return
    this.#way.opened()
    if (this.#mutes.length === 0) return
    this.#way.strike('upgrade')
    this.#way.mute(...this.#mutes)
  }

  #tooLong(): void {
    if (this.#begun) {
      this.#way.strike('answerLimit')
      this.#way.cut()
    } else this.#reply('answerLimit', { status: 504 })
  }
}

function acceptsGzip(head: Head): boolean {
  return header(head, 'accept-encoding')
    .split(',')
    .some((coding) => /^\s*(?:gzip|\*)\s*(?:;|$)/.test(coding) && !/q=0(?:\.0*)?\s*$/.test(coding))
}
