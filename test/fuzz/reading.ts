/**
 * What a server may say, read by docs/PROTOCOL.md alone: nothing of the code under test is used, so that a fault cannot
 * hide behind the same fault here.
 */

/** The code under test did what it must not. */
export class Violation extends Error {}

/** A close code that may be on a wire: RFC 6455, IANA's registry, and the ranges for libraries and applications. */
export function isWireCode(code: number): boolean {
  if (code >= 3000) return code <= 4999
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
}

export interface Place {
  number: number
  offset: number
}

export interface SaidRecord {
  readonly kind: number
  readonly more: boolean
  readonly payload: Buffer
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new Violation(`${what} is not UTF-8`)
  }
}

/** The body of an answer, which may come in pieces. */
export class AnswerBody {
  status: number | undefined
  has: Place = { number: 0, offset: 0 }
  at: Place = { number: 0, offset: 0 }
  readonly records: SaidRecord[] = []
  #rest: Buffer = Buffer.alloc(0)

  push(bytes: Buffer): void {
    let all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    if (this.status === undefined) {
      const size = this.#readHead(all)
      if (size === undefined) {
        this.#rest = all
        return
      }
      all = all.subarray(size)
    }
    for (let size = this.#readRecord(all); size !== undefined; size = this.#readRecord(all))
      all = all.subarray(size)
    this.#rest = all
    if (this.status !== 0 && (all.length > 0 || this.records.length > 0))
      throw new Violation(`something follows after status ${this.status}`)
  }

  get complete(): boolean {
    return this.status !== undefined && this.#rest.length === 0
  }

  #readHead(bytes: Buffer): number | undefined {
    if (bytes.length > 0 && bytes[0] !== 0xe1) throw new Violation('an answer does not begin with E1')
    const numbers: number[] = []
    let at = 2
    for (let i = 0; i < 4; i++) {
      const read = readNumber(bytes, at)
      if (read === undefined) return undefined
      numbers.push(read[0])
      at = read[1]
    }
    const status = bytes[1] as number
    if (status > 2) throw new Violation(`an answer's status is ${status}`)
    const [n1, o1, n2, o2] = numbers as [number, number, number, number]
    this.status = status
    this.has = { number: n1, offset: o1 }
    this.at = { number: n2, offset: o2 }
    return at
  }

  #readRecord(bytes: Buffer): number | undefined {
    const length = readNumber(bytes, 1)
    if (length === undefined || bytes.length < length[1] + length[0]) return undefined
    const first = bytes[0] as number
    const payload = bytes.subarray(length[1], length[1] + length[0])
    const record = { kind: first & 0x7f, more: first >= 0x80, payload }
    checkRecord(record)
    this.records.push(record)
    return length[1] + length[0]
  }
}

function readNumber(bytes: Buffer, begin: number): [value: number, end: number] | undefined {
  let value = 0
  let unit = 1
  for (let at = begin; at < bytes.length; at++) {
    const byte = bytes[at] as number
    value += (byte & 0x7f) * unit
    if (value > Number.MAX_SAFE_INTEGER) throw new Violation('a number in an answer is larger than 2^53 - 1')
    if (byte < 0x80) return [value, at + 1]
    unit *= 0x80
  }
  return undefined
}

function checkRecord({ kind, more, payload }: SaidRecord): void {
  if (more && kind !== 1 && kind !== 2) throw new Violation(`a record of kind ${kind} is cut`)
  if (kind === 1 || kind === 2) return
  if (kind === 3 || kind === 6) checkEnd(textOf(payload, 'a close'), kind === 6)
  else if (kind === 4 || kind === 5) checkBeat(textOf(payload, 'a ping'))
  else if (kind === 7) checkWelcome(textOf(payload, 'a welcome'))
  else if (kind === 9) {
    if (!/^[\w-]+$/.test(payload.toString('latin1'))) throw new Violation('a ticket is not ASCII')
  } else if (kind === 10) {
    if (!/^[01]$/.test(payload.toString('latin1'))) throw new Violation('a pause is neither 0 nor 1')
  } else throw new Violation(`a server sends no record of kind ${kind}`)
}

/** What a close or an abort says; returns its code. */
function checkEnd(text: string, abort: boolean): number {
  if (text === '' && !abort) return 1005
  const match = /^(\d{4}),([\s\S]*)$/.exec(text)
  if (!match || Buffer.byteLength(match[2] as string) > 123)
    throw new Violation(`the close ${JSON.stringify(text.slice(0, 80))} was sent`)
  const code = Number(match[1])
  checkCode(code, abort)
  return code
}

/** As RFC 6455 has it. */
function checkClose(payload: Buffer, abort: boolean): void {
  if (payload.length === 0) return
  if (payload.length < 2 || payload.length > 125)
    throw new Violation(`a close of ${payload.length} bytes was sent`)
  checkCode(payload.readUInt16BE(0), abort)
  textOf(payload.subarray(2), 'a close reason')
}

function checkCode(code: number, abort: boolean): void {
  if (!isWireCode(code) && !(abort && code === 1006)) throw new Violation(`the close code ${code} was sent`)
}

function checkBeat(payload: string): void {
  if (payload.length > 125) throw new Violation(`a beat of ${payload.length} characters was sent`)
}

export interface Welcome {
  readonly got: number
  readonly start?: number
}

function checkWelcome(json: string): Welcome {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(json)
  } catch {
    throw new Violation('a welcome is not JSON')
  }
  for (const name of ['got', 'heartbeat', 'patience', 'maxBody'])
    if (!Number.isSafeInteger(value[name]) || (value[name] as number) < 0)
      throw new Violation(`a welcome's ${name} is ${String(value[name])}`)
  if ((value.maxBody as number) < 256) throw new Violation("a welcome's maxBody is below 256")
  if (value.start !== undefined && !Number.isSafeInteger(value.start))
    throw new Violation("a welcome's start is no number")
  if (typeof value.protocol !== 'string') throw new Violation("a welcome's protocol is no string")
  return value as unknown as Welcome
}

// ---- controls ----

export type Said =
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'message' | 'ack' | 'ping' | 'pong' | 'superseded' | 'long' | 'pause' | 'other' }
  | { readonly kind: 'close' | 'abort'; readonly code: number }

/** A text that begins with U+0000 and a kind, from a server. */
export function readControl(text: string): Said {
  const rest = text.slice(2)
  const number = /^\d{1,15}$/
  switch (text.charCodeAt(1)) {
    case 3:
      return { kind: 'close', code: checkEnd(rest, false) }
    case 4:
      checkBeat(rest)
      return { kind: 'ping' }
    case 5:
      checkBeat(rest)
      return { kind: 'pong' }
    case 6:
      return { kind: 'abort', code: checkEnd(rest, true) }
    case 7:
      return { kind: 'welcome', welcome: checkWelcome(rest) }
    case 10:
      if (rest === '0' || rest === '1') return { kind: 'pause' }
      break
    case 11:
      if (number.test(rest)) return { kind: 'ack' }
      break
    case 14:
      if (number.test(rest)) return { kind: 'long' }
      break
    case 15:
      if (rest === '') return { kind: 'superseded' }
  }
  throw new Violation(`a server sent the control ${JSON.stringify(text.slice(0, 80))}`)
}

export interface SaidFrame {
  readonly opcode: number
  readonly payload: Buffer
}

/** The frames of a server that negotiated no extension: whole, unmasked, of a known kind. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)
  #closed = false

  push(bytes: Buffer): SaidFrame[] {
    const frames: SaidFrame[] = []
    let all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    for (;;) {
      const frame = readFrame(all)
      if (frame === undefined) break
      if (this.#closed)
        throw new Violation(
          `a frame follows after a close frame: ${frame.opcode} ${frame.payload.toString('latin1').slice(0, 40)}`,
        )
      if (frame.opcode === 8) this.#closed = true
      frames.push(frame)
      all = all.subarray(frame.size)
    }
    this.#rest = all
    return frames
  }
}

function readFrame(bytes: Buffer): (SaidFrame & { size: number }) | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const opcode = first & 15
  if ((first & 0xf0) !== 0x80 || ![1, 2, 8, 9, 10].includes(opcode))
    throw new Violation(`a server's frame begins with ${first.toString(16)}`)
  if (second >= 0x80) throw new Violation('a server masks')
  const head = second === 127 ? 10 : second === 126 ? 4 : 2
  if (bytes.length < head) return undefined
  const length =
    second === 127 ? Number(bytes.readBigUInt64BE(2)) : second === 126 ? bytes.readUInt16BE(2) : second
  if (bytes.length < head + length) return undefined
  const payload = bytes.subarray(head, head + length)
  if (opcode > 7 && length > 125) throw new Violation('a long control frame')
  if (opcode === 8) checkClose(payload, false)
  if (opcode === 1) textOf(payload, 'a text')
  return { opcode, payload, size: head + length }
}

// ---- what a client says ----

export interface SaidRequest {
  readonly ask: number
  readonly epoch: number
  readonly has: Place
  readonly at: Place
  readonly records: readonly SaidRecord[]
}

const byClients: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 8, 10])

/** A request's body, which is whole. */
export function readRequest(body: Uint8Array): SaidRequest {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  if (bytes[0] !== 0xe1) throw new Violation('a request does not begin with E1')
  const ask = bytes[1] as number
  if (ask > 127) throw new Violation(`a request asks for ${ask}`)
  const numbers: number[] = []
  let at = 30
  for (let i = 0; i < 8; i++) {
    const [value, end] = readNumber(bytes, at) ?? [0, bytes.length + 1]
    numbers.push(value)
    at = end
  }
  const [epoch, , , , n1, o1, n2, o2] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const records: SaidRecord[] = []
  while (at < bytes.length) {
    const [length, begin] = readNumber(bytes, at + 1) ?? [0, bytes.length + 1]
    const first = bytes[at] as number
    const record = { kind: first & 0x7f, more: first >= 0x80, payload: bytes.subarray(begin, begin + length) }
    at = begin + length
    if (!byClients.has(record.kind)) throw new Violation(`a client sends no record of kind ${record.kind}`)
    if (record.kind !== 8) checkRecord(record)
    records.push(record)
  }
  if (at !== bytes.length) throw new Violation('a request is not whole')
  return { ask, epoch, has: { number: n1, offset: o1 }, at: { number: n2, offset: o2 }, records }
}

const beat = /^[\0-\xff]{0,125}$/
/** What a client may say as a control, by its kind. */
const clientControls: Readonly<Record<number, RegExp>> = {
  3: /^(\d{4},[\s\S]*)?$/,
  4: beat,
  5: beat,
  6: /^\d{4},[\s\S]{0,123}$/,
  10: /^[01]$/,
  11: /^\d{1,15}$/,
  12: /^\d{1,15},\d{1,15}$/,
  13: /^\d{1,15}$/,
  16: /^[\s\S]{0,4096}$/,
}

/** A text on a WebSocket of a session, from a client. */
export function checkClientText(text: string): void {
  if (text[0] === '\0' && text[1] !== '\0' && !clientControls[text.charCodeAt(1)]?.test(text.slice(2)))
    throw new Violation(`a client sent the control ${JSON.stringify(text.slice(0, 80))}`)
}
