/** A client on a WebSocket in memory: of a session, an ordinary one, or a probe. */
import { IncomingMessage } from 'node:http'
import type { Socket as NetSocket } from 'node:net'
import { Ask, type Guest } from './guest.ts'
import { Line } from './line.ts'
import { FrameReader, readControl, type SaidFrame, Violation } from './reading.ts'
import { HttpReader } from './reading-http.ts'
import { refusals, type Scene } from './scene.ts'
import {
  closePayload,
  controlOf,
  frame,
  headBytes,
  Kind,
  someControl,
  someNumber,
  someText,
} from './words.ts'
import type { World } from './world.ts'

export type CallerKind = 'session' | 'plain' | 'probe'

export class Caller {
  readonly line: Line = new Line()
  readonly #world: World
  readonly #kind: CallerKind
  readonly #guest: Guest
  readonly #http: HttpReader
  readonly #frames: FrameReader = new FrameReader()
  #open = false
  /** The last message of the server's that has come. */
  #got = 0
  #took = 0
  #standby = false

  constructor(scene: Scene, guest: Guest, kind: CallerKind) {
    const { world } = scene
    this.#world = world
    this.#kind = kind
    this.#guest = guest
    this.#http = new HttpReader({
      head: ({ status }) => {
        if (status !== 101 && !refusals.has(status))
          throw new Violation(`a handshake was answered with ${status}`)
        this.#open = status === 101
        world.count(`handshake ${status}`)
      },
      body: () => {},
      end: () => {},
    })
    this.#dial(scene)
  }

  get over(): boolean {
    return this.line.destroyed
  }

  #dial(scene: Scene): void {
    const { random } = this.#world
    const headers: Record<string, string> = {
      host: 'server.example',
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    }
    if (random.chance(2)) headers['sec-websocket-version'] = random.one(['8', '12', ''])
    if (random.chance(2)) headers.origin = random.one(['http://server.example', 'http://other.example'])
    if (random.chance(1)) headers['sec-websocket-key'] = 'short'
    if (random.chance(3))
      headers['sec-websocket-extensions'] = random.one(['permessage-deflate', 'x;;', 'a="'])
    const protocols = this.#protocols()
    if (protocols !== '') headers['sec-websocket-protocol'] = protocols
    const request = new IncomingMessage(this.line as unknown as NetSocket)
    request.method = random.chance(1) ? 'POST' : 'GET'
    request.url = '/realtime'
    request.httpVersion = '1.1'
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    request.headers = headers
    request.rawHeaders = Object.entries(headers).flat()
    const { realtime } = scene
    const head = random.chance(10) ? this.#someFrames() : Buffer.alloc(0)
    this.#world.say('handshake', Buffer.from(protocols))
    realtime.handleUpgrade(request, this.line, head, (socket) => realtime.emit('connection', socket, request))
  }

  #protocols(): string {
    const { random } = this.#world
    if (this.#kind === 'plain') return random.one(['', '', 'a', 'a, b', 'a,,', 'a, a'])
    const guest = this.#guest
    if (guest.opened) guest.renew()
    this.#standby = random.chance(20)
    let ask: number = guest.opened && !random.chance(20) ? 0 : Ask.open
    guest.opened = true
    if (this.#standby) ask |= Ask.standby
    if (this.#kind === 'probe') ask = Ask.probe
    const odd = random.chance(8)
    const { id, key, epoch, has } = guest
    const none = { number: 0, offset: 0 }
    const number = odd ? someNumber(random, has.number) : has.number
    const life = this.#kind === 'probe' ? random.one([0, 100, 5000, 2 ** 40]) : 0
    const spec = { mark: 0xe1, ask, id, key, epoch, serial: 0, quiet: random.one([0, 500]), life, at: none }
    let bytes = headBytes(
      { ...spec, has: { number, offset: has.offset }, records: [] },
      odd ? random : undefined,
    )
    if (random.chance(4)) bytes = random.mutated(bytes)
    return `${random.one(['', '', 'a, '])}everwire.1, everwire.1.${bytes.toString('base64url')}`
  }

  /** Says something, most of it as it may. */
  speak(): void {
    const { random } = this.#world
    let bytes = this.#someFrames()
    if (random.chance(12)) bytes = random.mutated(bytes)
    this.#world.say('frames', bytes)
    if (!random.chance(15) || bytes.length < 2) this.line.say(bytes)
    else {
      const at = 1 + random.below(bytes.length - 1)
      this.line.say(bytes.subarray(0, at))
      this.line.say(bytes.subarray(at))
    }
  }

  #someFrames(): Buffer {
    const { random } = this.#world
    const count = random.chance(3) ? 1 + random.below(80) : 1 + random.below(3)
    return Buffer.concat(Array.from({ length: count }, () => this.#someFrame()))
  }

  #someFrame(): Buffer {
    const { random } = this.#world
    const which = random.below(40)
    if (which === 0) return frame(8, closePayload(random))
    if (which < 3) return frame(random.one([9, 10]), random.bytes(random.chance(5) ? 140 : 126))
    if (which === 3) return frame(1, someText(random), random.one([0x01, 0x00, 0x80, 0xc1, 0x83, 0x8b, 0x81]))
    if (which === 4) return Buffer.concat([frame(2, random.bytes(40), 0x02), frame(0, random.bytes(40))])
    if (which === 5) return frame(random.below(16), random.bytes(60), random.below(256))
    if (which < 16) return frame(2, random.bytes(random.chance(3) ? 2000 : 60))
    // A probe says little but pings.
    if (this.#kind === 'probe')
      return frame(1, Buffer.from(random.chance(90) ? controlOf(Kind.ping, 'beat') : 'x'))
    if (which < 26 || this.#kind === 'plain') return frame(1, this.#text())
    return frame(1, someControl(random, this.#got, this.#took))
  }

  /** Text that is none of the controls; what begins with U+0000 has one more. */
  #text(): Buffer {
    const text = someText(this.#world.random)
    return text[0] === 0 && this.#kind !== 'plain' ? Buffer.concat([Buffer.alloc(1), text]) : text
  }

  read(): void {
    if (this.line.written.length === 0) return
    const bytes = this.line.takeWritten()
    const rest = this.#open ? bytes : this.#http.push(bytes)
    if (!rest) return
    for (const one of this.#frames.push(rest)) this.#heed(one)
  }

  #heed({ opcode, payload }: SaidFrame): void {
    const { random } = this.#world
    if (opcode === 8) {
      this.#world.count(`close frame ${payload.length > 1 ? payload.readUInt16BE(0) : 'without a code'}`)
      if (random.chance(80)) this.line.say(frame(8, payload))
      return
    }
    if (opcode > 8 || this.#kind === 'plain') return
    if (opcode !== 1 || payload[0] !== 0 || payload[1] === 0) {
      this.#message()
      return
    }
    const said = readControl(payload.toString())
    this.#world.count(`control ${said.kind}`)
    if (said.kind === 'close') this.#message()
    if (said.kind === 'abort') this.#guest.lost = true
    if (said.kind === 'welcome') {
      this.#took = said.welcome.got
      if (said.welcome.start !== undefined) this.#got = said.welcome.start
      else this.#got = this.#guest.has.number
    }
  }

  #message(): void {
    this.#got++
    this.#guest.has = { number: Math.max(this.#guest.has.number, this.#got), offset: 0 }
  }
}
