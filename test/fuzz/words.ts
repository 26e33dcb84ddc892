/** What clients say, valid and nearly so: numbers, bodies, controls and frames. Written by docs/PROTOCOL.md alone. */
import type { Random } from '../support/random.ts'
import type { Place } from './reading.ts'

export interface Spec {
  mark: number
  ask: number
  id: Uint8Array
  key: Uint8Array
  epoch: number
  serial: number
  quiet: number
  life: number
  has: Place
  at: Place
  records: Part[]
}

export interface Part {
  kind: number
  more: boolean
  payload: Uint8Array
  /** What its length is said to be, if that is not what it is. */
  length?: number
}

export const Kind = {
  text: 1,
  binary: 2,
  close: 3,
  ping: 4,
  pong: 5,
  abort: 6,
  welcome: 7,
  hello: 8,
  ticket: 9,
  pause: 10,
  ack: 11,
  take: 12,
  hear: 13,
  long: 14,
  superseded: 15,
} as const

/** A control as a WebSocket carries it. */
export function controlOf(kind: number, payload: string): string {
  return `\0${String.fromCharCode(kind)}${payload}`
}

/** Where numbers of this protocol, of LEB128 and of JavaScript change their ways. */
const edges = [
  0,
  1,
  2,
  3,
  63,
  64,
  127,
  128,
  255,
  256,
  16_383,
  16_384,
  65_535,
  65_536,
  2 ** 21,
  2 ** 28,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 49,
  2 ** 52,
  2 ** 53 - 2,
  2 ** 53 - 1,
]

export function someNumber(random: Random, near: number): number {
  const which = random.below(4)
  if (which === 0) return near + 1
  if (which === 1) return Math.max(near - 1, 0)
  if (which === 2) return near
  return random.one(edges)
}

class Writer {
  bytes: Buffer = Buffer.allocUnsafe(512)
  size = 0

  room(size: number): void {
    if (this.size + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.size + size))
    this.bytes.copy(larger, 0, 0, this.size)
    this.bytes = larger
  }

  byte(value: number): void {
    this.room(1)
    this.bytes[this.size++] = value
  }

  put(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.bytes.set(bytes, this.size)
    this.size += bytes.length
  }

  /** `odd`: sometimes longer than it need be, or than it may be. */
  number(value: number, odd?: Random): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    if (odd === undefined || !odd.chance(3)) {
      this.byte(rest)
      return
    }
    this.byte(rest | 0x80)
    for (let i = odd.below(12); i > 0; i--) this.byte(0x80)
    this.byte(odd.below(3))
  }

  whole(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.size))
  }
}

const writer = new Writer()

export function headBytes(spec: Spec, odd?: Random): Buffer {
  writer.size = 0
  writeHead(spec, odd)
  return writer.whole()
}

function writeHead(spec: Spec, odd?: Random): void {
  writer.byte(spec.mark)
  writer.byte(spec.ask)
  writer.put(spec.id)
  writer.put(spec.key)
  for (const number of [spec.epoch, spec.serial, spec.quiet, spec.life]) writer.number(number, odd)
  for (const { number, offset } of [spec.has, spec.at]) {
    writer.number(number, odd)
    writer.number(offset, odd)
  }
}

export function bodyBytes(spec: Spec, odd?: Random): Buffer {
  writer.size = 0
  writeHead(spec, odd)
  writeParts(spec.records, odd)
  return writer.whole()
}

/** An answer: what a server says. */
export function answerBytes(
  status: number,
  has: Place,
  at: Place,
  parts: readonly Part[],
  odd?: Random,
): Buffer {
  writer.size = 0
  writer.byte(0xe1)
  writer.byte(status)
  for (const { number, offset } of [has, at]) {
    writer.number(number, odd)
    writer.number(offset, odd)
  }
  writeParts(parts, odd)
  return writer.whole()
}

function writeParts(parts: readonly Part[], odd?: Random): void {
  for (const { kind, more, payload, length } of parts) {
    writer.byte((kind & 0x7f) | (more ? 0x80 : 0))
    writer.number(length ?? payload.length, odd)
    writer.put(payload)
  }
}

// ---- parts of a body ----

const ascii = Buffer.from('everwire '.repeat(400))

export function someText(random: Random): Buffer {
  const which = random.below(60)
  if (which === 0) return Buffer.from('ä€😀\0')
  if (which === 1) return Buffer.from([0])
  if (which === 2) return Buffer.alloc(0)
  if (which === 3) return Buffer.from([0xff, 0xc0, 0x80])
  const size = which < 7 ? random.below(3000) : random.below(40)
  return ascii.subarray(0, size)
}

const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
const badCodes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]

export function someCode(random: Random): number {
  return random.chance(85) ? random.one(codes) : random.one(badCodes)
}

/** The payload of a close, or of an abort. */
function endPayload(random: Random): Buffer {
  if (random.chance(15)) return Buffer.from(random.one(['', '', '1', '1000', '1000,\xff']), 'latin1')
  return Buffer.from(`${someCode(random)},${ascii.subarray(0, random.one([0, 6, 20, 122, 123, 124]))}`)
}

/** The same as RFC 6455 has it. */
export function closePayload(random: Random): Buffer {
  if (random.chance(15)) return Buffer.alloc(random.below(2), 3)
  const code = someCode(random)
  const reason = ascii.subarray(0, random.one([0, 6, 20, 122, 123, 124]))
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), reason])
}

function someBeat(random: Random): Buffer {
  const which = random.below(40)
  if (which === 0) return Buffer.alloc(random.one([124, 125, 126, 250]), 'x')
  if (which === 1) return Buffer.from('\xff'.repeat(random.below(126)))
  if (which === 2) return Buffer.from([0xff])
  if (which === 3) return Buffer.from('€')
  return ascii.subarray(0, random.below(9))
}

export function hello(random: Random): Part {
  const which = random.below(10)
  const text =
    which === 0
      ? random.mutated(Buffer.from('{"protocols":["a","b"]}'))
      : Buffer.from(
          random.one(['{"protocols":[]}', '{"protocols":["a","b"]}', '{}', '[]', 'null', '{"protocols":7}']),
        )
  return part(Kind.hello, text)
}

export function part(kind: number, payload: Uint8Array, more = false): Part {
  return { kind, more, payload }
}

/** Messages and controls as a client sends them, most of them as it may. */
export function someParts(random: Random, fromServer: boolean): Part[] {
  const parts: Part[] = []
  const count = random.chance(3) ? random.below(60) : random.below(4)
  for (let i = 0; i < count; i++) {
    const which = random.below(24)
    if (which < 8) parts.push(part(Kind.text, someText(random), random.chance(15)))
    else if (which < 14) parts.push(part(Kind.binary, random.bytes(60), random.chance(25)))
    else if (which < 17) parts.push(part(random.one([Kind.ping, Kind.pong]), someBeat(random)))
    else if (which === 17) parts.push(part(Kind.pause, Buffer.from(random.one(['0', '1', '1', '']))))
    else if (which === 18 && random.chance(25)) parts.push(part(Kind.close, endPayload(random)))
    else if (which === 19 && random.chance(10)) parts.push(part(Kind.abort, endPayload(random)))
    else if (which === 20 && fromServer) parts.push(part(Kind.ticket, Buffer.from('A'.repeat(40))))
    else if (which === 21 && random.chance(20))
      parts.push(part(random.one([0, 7, 8, 9, 11, 12, 15, 16, 100, 127]), random.bytes(20)))
  }
  return parts
}

/** Something about the parts is changed that their writer would not do. */
export function twistParts(random: Random, parts: Part[], spare: Part): void {
  if (parts.length === 0) parts.push(spare)
  const at = random.below(parts.length)
  const one = parts[at] as Part
  switch (random.below(7)) {
    case 0:
      one.kind = random.below(18)
      break
    case 1:
      one.more = !one.more
      break
    case 2:
      one.length = someNumber(random, one.payload.length)
      break
    case 3:
      parts.push(one, one)
      break
    case 4:
      parts.splice(at, 1)
      break
    case 5:
      one.payload = random.mutated(one.payload)
      break
    case 6:
      parts.reverse()
  }
}

/** Something about a request is changed that no client would do. */
export function twist(random: Random, spec: Spec): void {
  switch (random.below(12)) {
    case 0:
      spec.ask = random.below(256)
      break
    case 1:
      spec.ask ^= 1 << random.below(8)
      break
    case 2:
      spec.epoch = someNumber(random, spec.epoch)
      break
    case 3:
      spec.serial = someNumber(random, spec.serial)
      break
    case 4:
      spec.quiet = someNumber(random, spec.quiet)
      spec.life = someNumber(random, spec.life)
      break
    case 5:
      spec.has = { number: someNumber(random, spec.has.number), offset: spec.has.offset }
      break
    case 6:
      spec.has = { number: spec.has.number, offset: someNumber(random, spec.has.offset) }
      break
    case 7:
      spec.at = { number: someNumber(random, spec.at.number), offset: spec.at.offset }
      break
    case 8:
      spec.at = { number: spec.at.number, offset: someNumber(random, spec.at.offset) }
      break
    case 9:
      spec.key = random.mutated(spec.key).subarray(0, 16)
      break
    case 10:
      spec.id = random.mutated(spec.id).subarray(0, 12)
      break
    case 11:
      twistParts(random, spec.records, part(Kind.text, ascii.subarray(0, 5)))
  }
}

// ---- WebSocket ----

/** What only clients say is left out for those who hear a server. */
export function someControl(random: Random, got: number, taken: number, fromServer = false): Buffer {
  const near = (number: number): number => (random.chance(80) ? number : someNumber(random, number))
  const which = random.below(16)
  const [kind, payload] = whichControl()
  return Buffer.from(controlOf(kind, payload))

  function whichControl(): readonly [number, string] {
    if (which < 5) return [Kind.ack, `${near(got)}`]
    if (which < 7) return [Kind.ping, someBeat(random).toString('latin1')]
    if (which === 7) return [Kind.pong, someBeat(random).toString('latin1')]
    if (which === 8 && !fromServer) return [Kind.hear, `${near(random.one([0, 200, 1000, 60_000]))}`]
    if (which === 9) return [Kind.pause, `${random.below(2)}`]
    if (which === 10 && (!fromServer || random.chance(3))) return [Kind.take, `${near(got)},${near(taken)}`]
    if (which === 11 && random.chance(30))
      return [Kind.close, `${someCode(random)},${'r'.repeat(random.one([0, 5, 123, 124, 200]))}`]
    if (which === 12 && random.chance(20)) return [Kind.abort, `${someCode(random)},gone`]
    if (which === 13 && random.chance(20)) return random.one(odd)
    return [Kind.ack, `${got}`]
  }
}

/** Controls that are malformed, or for the other end. */
const odd: readonly (readonly [number, string])[] = [
  [Kind.close, ''],
  [Kind.superseded, ''],
  [Kind.long, '5'],
  [Kind.welcome, '{}'],
  [Kind.close, ','],
  [Kind.abort, ','],
  [Kind.ack, ''],
  [Kind.hear, ''],
  [Kind.take, ''],
  [Kind.ack, '9'.repeat(15)],
  [Kind.ack, '-1'],
  [Kind.text, 'text'],
  [Kind.binary, ''],
  [Kind.hello, '{}'],
  [Kind.ticket, 'A'],
  [16, ''],
  [0x7a, '1'],
]

const mask = Buffer.from([1, 2, 3, 4])

export function frame(opcode: number, payload: Uint8Array, first = 0x80 | opcode): Buffer {
  const { length } = payload
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = Buffer.allocUnsafe(head + 4 + length)
  bytes[0] = first
  bytes[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head === 4) bytes.writeUInt16BE(length, 2)
  else if (head === 10) bytes.writeBigUInt64BE(BigInt(length), 2)
  mask.copy(bytes, head)
  for (let i = 0; i < length; i++) bytes[head + 4 + i] = (payload[i] as number) ^ (mask[i & 3] as number)
  return bytes
}
