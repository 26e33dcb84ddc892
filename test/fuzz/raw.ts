/** Bytes on connections, into Node's own HTTP server with everwire on it: requests and handshakes, and what is nearly one. */
import { createServer, type Server } from 'node:http'
import { Guest } from './guest.ts'
import { Line } from './line.ts'
import { FrameReader, Violation } from './reading.ts'
import { HttpReader } from './reading-http.ts'
import { refusals, Scene } from './scene.ts'
import { bodyBytes, frame, headBytes, someControl, someText, twist } from './words.ts'
import type { Batch, World } from './world.ts'

/** What Node's server says by itself to what is no request. */
const byNode: ReadonlySet<number> = new Set([400, 408, 413, 417, 431])

const connections = 4

class Connection {
  readonly line: Line = new Line()
  readonly http: HttpReader
  readonly frames: FrameReader = new FrameReader()
  upgraded = false
  /** How many requests were said whole and as they should be; undefined once anything else was. */
  asked: number | undefined = 0

  constructor(world: World) {
    this.http = new HttpReader({
      head: ({ status, headers }) => {
        this.upgraded = status === 101
        if (headers.get('connection') === 'close' || this.upgraded) this.asked = undefined
        if (![101, 200, 204].includes(status) && !refusals.has(status) && !byNode.has(status))
          throw new Violation(`a request was answered with ${status}`)
        world.count(`status ${status}`)
      },
      body: () => {},
      end: () => {},
    })
  }

  read(): void {
    if (this.line.written.length === 0) return
    const bytes = this.line.takeWritten()
    const rest = this.upgraded ? bytes : this.http.push(bytes)
    for (const { opcode, payload } of rest ? this.frames.push(rest) : [])
      if (opcode === 8) this.line.say(frame(8, payload))
  }
}

export class Raw implements Batch {
  readonly #world: World
  readonly #server: Server
  readonly #scene: Scene
  readonly #guests: Guest[]
  readonly #connections: Connection[] = []

  constructor(world: World) {
    const { random } = world
    this.#world = world
    const how = random.below(3)
    const server = createServer((request, response) => {
      if (how === 2) response.writeHead(404, { 'Content-Length': 0 }).end()
      else this.#scene.realtime.middleware(request, response)
    })
    this.#server = server
    const shared = { noServer: undefined, server, path: '/realtime' }
    this.#scene = new Scene(world, { ...Scene.options(world), ...(how === 2 && shared) })
    if (how === 1) {
      const { realtime } = this.#scene
      server.on('upgrade', (request, socket, head) => {
        realtime.handleUpgrade(request, socket, head, (one) => realtime.emit('connection', one, request))
      })
    }
    this.#guests = Array.from({ length: 3 }, () => new Guest(random))
  }

  async run(): Promise<void> {
    const world = this.#world
    const { random } = world
    let connection = random.one(this.#connections)
    if (!connection || (this.#connections.length < connections && random.chance(30))) {
      connection = new Connection(world)
      this.#connections.push(connection)
      this.#server.emit('connection', connection.line)
    }
    this.#speak(connection)
    await world.turns(2)
    this.#read()
    const what = random.below(40)
    if (what < 4) await this.#scene.act()
    else if (what < 8) await world.pass(random.one([1, 110, 1000, 20_000]))
    else if (what === 8) {
      connection.asked = undefined
      connection.line.hangUp()
    } else if (what === 9) connection.line.destroy()
    if (what < 10) await world.turn()
    this.#read()
  }

  async finish(): Promise<void> {
    // What is held is answered by then.
    await this.#world.pass(70_000)
    this.#read()
    const left = [...this.#connections]
    for (const { line } of left) line.hangUp()
    await this.#scene.finish()
    this.#read()
    for (const { asked, http, line } of left) {
      if (!line.destroyed) throw new Violation('a connection does not end')
      if (asked !== undefined && http.answers < asked && http.head === undefined)
        throw new Violation(`${http.answers} of ${asked} requests were answered`)
    }
    this.#server.close()
  }

  #read(): void {
    for (let i = this.#connections.length - 1; i >= 0; i--) {
      const connection = this.#connections[i] as Connection
      connection.read()
      if (connection.line.destroyed) this.#connections.splice(i, 1)
    }
  }

  #speak(connection: Connection): void {
    const { random } = this.#world
    let bytes: Buffer
    if (connection.upgraded) {
      const payload = random.chance(50) ? someText(random) : someControl(random, 0, 0)
      bytes = frame(1, payload)
    } else if (random.chance(30)) {
      bytes = this.#handshake()
      connection.asked = undefined
    } else {
      bytes = this.#request(connection)
      if (random.chance(10)) bytes = Buffer.concat([bytes, this.#request(connection)])
    }
    if (random.chance(35)) {
      bytes = random.mutated(bytes)
      connection.asked = undefined
    }
    this.#world.say('connection', bytes)
    if (random.chance(70) || bytes.length < 2) connection.line.say(bytes)
    else {
      const at = 1 + random.below(bytes.length - 1)
      connection.line.say(bytes.subarray(0, at))
      connection.line.say(bytes.subarray(at))
    }
  }

  #guest(): Guest {
    const { random } = this.#world
    const at = random.below(this.#guests.length)
    if (random.chance(15)) this.#guests[at] = new Guest(random)
    return this.#guests[at] as Guest
  }

  #request(connection: Connection): Buffer {
    const { random } = this.#world
    const spec = this.#guest().ask(random)
    // What is held waits for long, and all behind it.
    if (random.chance(80)) spec.ask &= ~0x0c
    if (random.chance(20)) twist(random, spec)
    const body = bodyBytes(spec)
    const method = random.chance(95) ? 'POST' : random.one(['GET', 'PUT', 'OPTIONS', 'DELETE'])
    const path = random.one([
      '/realtime?everwire=1',
      '/realtime?everwire=1',
      '/realtime?a=b&everwire=1&c',
      '/realtime',
      '/?everwire=1',
      '/realtime?everwire=',
      '/realtime?everwire=%00',
      '/other',
      '//realtime?everwire=1',
    ])
    const lines = ['Host: server.example']
    if (random.chance(10))
      lines.push(
        random.one(['Origin: http://server.example', 'Origin: null', 'Origin: x', 'Connection: close']),
      )
    if (random.chance(5))
      lines.push(random.one(['Sec-Fetch-Site: cross-site', 'X-Forwarded-Host: a, b', 'Accept-Encoding: *']))
    let framed: Buffer = body
    if (random.chance(70)) lines.push(`Content-Length: ${body.length}`)
    else if (random.chance(90)) {
      lines.push('Transfer-Encoding: chunked')
      framed = chunked(body, 1 + random.below(body.length))
    } else {
      lines.push(`Content-Length: ${random.one([0, 1, body.length + 1, 2 ** 31, 1e15])}`)
      connection.asked = undefined
    }
    if (connection.asked !== undefined) connection.asked++
    return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`), framed])
  }

  #handshake(): Buffer {
    const { random } = this.#world
    const guest = this.#guest()
    const ask = guest.opened ? 0 : 1
    guest.opened = true
    guest.renew()
    const { id, key, epoch, has } = guest
    const at = { number: 0, offset: 0 }
    const head = headBytes({
      mark: 0xe1,
      ask,
      id,
      key,
      epoch,
      serial: 0,
      quiet: 0,
      life: 0,
      has,
      at,
      records: [],
    })
    const token = random.chance(85) ? head : random.mutated(head)
    const lines = [
      'Host: server.example',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
    ]
    if (random.chance(75))
      lines.push(`Sec-WebSocket-Protocol: everwire.1, everwire.1.${token.toString('base64url')}`)
    if (random.chance(10)) lines.splice(random.below(lines.length), 1)
    if (random.chance(5))
      lines.push(random.one(['Content-Length: 5', 'Transfer-Encoding: chunked', 'Upgrade: h2c']))
    const path = random.one(['/realtime', '/realtime', '/realtime', '/other', '/realtime?x'])
    const handshake = Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    return random.chance(20) ? Buffer.concat([handshake, frame(1, someText(random))]) : handshake
  }
}

function chunked(body: Buffer, size: number): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size)
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
}
