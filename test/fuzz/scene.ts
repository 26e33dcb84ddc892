/** A server with an application that does what chance says, and what is asked of it on connections in memory. */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as NetSocket } from 'node:net'
import type { ServerOptions, Socket, WebSocketServer } from '../../server/index.ts'
import { Line } from './line.ts'
import { AnswerBody, isWireCode, Violation } from './reading.ts'
import { HttpReader } from './reading-http.ts'
import type { World } from './world.ts'

/** Section 5 of docs/PROTOCOL.md; 401 and 402 are this application's as well. */
export const refusals: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 413, 426, 429, 503])

const statuses = ['ok', 'superseded', 'unknown'] as const

/** An exchange that is under way, or over. */
export class Exchange {
  readonly line: Line
  readonly body: AnswerBody = new AnswerBody()
  readonly #world: World
  readonly #reader: HttpReader
  status = 0
  over = false
  /** The server has parted it from its connection. */
  gone = false
  /** The client has gone. */
  cut = false
  #events = ''
  #isEvents = false

  constructor(world: World, line: Line) {
    this.line = line
    this.#world = world
    this.#reader = new HttpReader({
      head: ({ status, headers }) => {
        this.status = status
        const type = headers.get('content-type')
        this.#isEvents = type === 'text/event-stream'
        const isOurs = type === 'application/octet-stream' || this.#isEvents
        if (status === 200 ? !isOurs : status !== 204 && !refusals.has(status))
          throw new Violation(`an exchange was answered with ${status} ${type}`)
        world.count(`status ${status}`)
      },
      body: (bytes) => {
        if (this.status === 200) this.body.push(this.#isEvents ? this.#fromEvents(bytes) : bytes)
      },
      end: () => this.#ended(),
    })
  }

  /** Reads what has come. */
  read(): void {
    if (this.line.written.length === 0) return
    this.#reader.push(this.line.takeWritten())
  }

  #ended(): void {
    this.over = true
    if (this.status !== 200) return
    if (!this.body.complete || this.#events !== '') throw new Violation('an answer is not whole')
    this.#world.count(`answer ${statuses[this.body.status as 0 | 1 | 2]}`)
  }

  #fromEvents(bytes: Buffer): Buffer {
    this.#events += bytes.toString('latin1')
    const events = this.#events.split('\n\n')
    this.#events = events.pop() as string
    return Buffer.concat(
      events.map((event) => {
        if (!/^data: [\w+/=]*$/.test(event)) throw new Violation(`an event is ${event.slice(0, 80)}`)
        return Buffer.from(event.slice(6), 'base64')
      }),
    )
  }
}

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
}

export class Scene {
  readonly world: World
  readonly realtime: WebSocketServer
  readonly maxBody: number
  readonly live: Socket[] = []
  /** Those that are not answered whole. */
  readonly pending = new Set<Exchange>()
  readonly #free: Line[] = []
  #shown = 0
  #closed = 0
  #ending = false

  constructor(world: World, options: ServerOptions) {
    this.world = world
    this.realtime = new world.everwire.WebSocketServer({
      noServer: true,
      origins: 'same',
      serveClient: false,
      ...options,
    })
    this.maxBody = this.realtime.options.maxBody
    this.realtime.on('connection', (socket) => this.#serve(socket))
  }

  /** What most batches run with: small limits are met sooner. */
  static options(world: World): ServerOptions {
    const { random } = world
    const refuses = random.below(20)
    return {
      heartbeat: random.one([200, 1000, 15_000]),
      patience: random.one([300, 5000, 30_000]),
      maxBody: random.one([300, 5000, 1024 * 1024]),
      maxPayload: random.one([50, 1000, 100 * 1024 * 1024]),
      maxBuffered: random.one([400, 100_000, 64 * 1024 * 1024]),
      ...(random.chance(20) && { maxClients: 3 }),
      ...(refuses === 0 && { verifyClient: () => random.chance(50) }),
      ...(refuses === 1 && {
        verifyClient: (_info: unknown, done: (ok: boolean, code?: number, reason?: string) => void) =>
          done(random.chance(50), 402, 'Pay first'),
      }),
      ...(refuses === 2 && { verifyClient: () => Promise.resolve(random.chance(50)) }),
      ...(refuses === 3 && { handleProtocols: () => random.one(['a', false] as const) }),
    }
  }

  /** Asks as a request that Node has read the head of; the body comes in these pieces. */
  ask(asked: Asked, pieces: readonly Buffer[], whole: boolean, parsed: boolean): Exchange {
    const line = this.#free.pop() ?? new Line()
    line.unstall()
    const exchange = new Exchange(this.world, line)
    const request = new IncomingMessage(line as unknown as NetSocket)
    request.method = asked.method
    request.url = asked.url
    request.httpVersion = '1.1'
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    request.headers = asked.headers
    request.rawHeaders = Object.entries(asked.headers).flat()
    const response = new ServerResponse(request)
    response.assignSocket(line as unknown as NetSocket)
    response.on('finish', () => {
      exchange.gone = true
      response.detachSocket(line as unknown as NetSocket)
      // As Node's server does.
      process.nextTick(() => {
        response.destroyed = true
        response.emit('close')
      })
    })
    if (parsed) Object.assign(request, { body: Buffer.concat(pieces) })
    this.pending.add(exchange)
    if (!this.realtime.handleRequest(request, response)) throw new Violation('a marked request was not taken')
    if (parsed) return exchange
    for (const piece of pieces) request.push(piece)
    if (whole) {
      request.complete = true
      request.push(null)
    } else if (!request.destroyed) {
      exchange.cut = true
      request.destroy()
    }
    return exchange
  }

  /** Reads what came on all connections; those that are answered may serve others. */
  readAll(): void {
    for (const exchange of this.pending) {
      exchange.read()
      if (!exchange.over && !exchange.line.destroyed) continue
      this.pending.delete(exchange)
      if (exchange.over && exchange.gone && !exchange.line.ended && this.#free.length < 16)
        this.#free.push(exchange.line)
    }
  }

  cut(exchange: Exchange): void {
    exchange.cut = true
    exchange.line.destroy()
    this.world.count('answer cut')
  }

  /** The application does something by itself. */
  async act(): Promise<void> {
    const { random } = this.world
    const socket = random.one(this.live)
    if (socket) this.#act(socket, random.below(16))
  }

  #serve(socket: Socket): void {
    const { world } = this
    const { random } = world
    this.#shown++
    this.live.push(socket)
    world.count('shown')
    let closed = false
    socket.on('message', (data) => {
      if (closed) throw new Violation('a message came after the close')
      world.count('message')
      const what = this.#ending ? 40 : random.below(40)
      if (what < 10) socket.send(data as Buffer)
      else if (what < 22) this.#act(socket, what - 10)
    })
    socket.on('close', (code) => {
      if (closed) throw new Violation('closed twice')
      closed = true
      this.#closed++
      this.live.splice(this.live.indexOf(socket), 1)
      if (!isWireCode(code) && code !== 1005 && code !== 1006)
        throw new Violation(`the application saw the close code ${code}`)
      world.count(`closed ${code < 3000 ? code : 'by a client'}`)
    })
    socket.on('error', () => world.count('fault of a peer'))
    socket.on('ping', () => world.count('ping'))
    if (random.chance(10)) socket.send('welcome')
  }

  #act(socket: Socket, what: number): void {
    const { random } = this.world
    switch (what) {
      case 0:
        socket.ping('beat')
        break
      case 1:
        socket.subscribe('news')
        break
      case 2:
        socket.publish('news', 'published')
        break
      case 3:
        socket.send(large.subarray(0, random.one([200, 9000, 70_000])))
        break
      case 4:
        socket.pause()
        this.world.count('paused')
        break
      case 5:
      case 6:
      case 7:
      case 8:
      case 12:
        socket.resume()
        break
      case 9:
        if (random.chance(30)) socket.close(random.one([1000, 1011, 3000, 4999]), 'done')
        break
      case 10:
        if (random.chance(30)) socket.terminate()
        break
      case 11:
        this.realtime.publish('news', 'to all')
        break
      default:
        socket.send('by itself')
    }
  }

  /** Whatever is still there ends: nobody waits, and nothing is kept. */
  async finish(): Promise<void> {
    const { world, realtime } = this
    this.#ending = true
    for (const { line } of this.pending) line.unstall()
    for (const socket of this.live) socket.resume()
    await world.turn()
    if (world.random.chance(50)) for (const socket of [...this.live]) socket.close(1001)
    let isClosed = false
    realtime.close(() => {
      isClosed = true
    })
    await world.pass(300_000)
    await world.passAll()
    await world.turns(3)
    this.readAll()
    for (const exchange of this.pending) {
      if (!exchange.cut) throw new Violation('a request was never answered')
    }
    if (this.live.length > 0 || this.#shown !== this.#closed)
      throw new Violation(
        `${this.#shown} clients were shown, ${this.#closed} closed: ${JSON.stringify(this.live.map(({ readyState, isPaused, diary }) => ({ readyState, isPaused, diary })))}`,
      )
    if (!isClosed) throw new Violation('the server does not close')
    if (realtime.clients.size > 0) throw new Violation('clients are left')
    const { memory = 0 } = realtime as { memory?: number }
    if (memory !== 0) throw new Violation(`${memory} bytes are still counted when all clients have gone`)
    if (world.clock.waiting > 0) throw new Violation('timers are left')
  }
}

const large = Buffer.alloc(70_000, 'everwire ')
