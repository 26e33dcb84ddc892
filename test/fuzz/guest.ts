/** A client of the server that is fuzzed, as far as what it says depends on what it was told. */
import type { Random } from '../support/random.ts'
import type { AnswerBody, Place } from './reading.ts'
import { hello, Kind, type Spec, someParts } from './words.ts'

export const Ask = { open: 1, standby: 2, hold: 4, stream: 8, again: 16, ticket: 32, probe: 64 } as const

export class Guest {
  readonly id: Uint8Array
  readonly key: Uint8Array
  epoch = 1
  shortSerial = 0
  heldSerial = 0
  has: Place = { number: 0, offset: 0 }
  at: Place = { number: 0, offset: 0 }
  ticket = ''
  opened = false
  /** The server did not know it. */
  lost = false

  constructor(random: Random) {
    this.id = fill(random, 12)
    this.key = fill(random, 16)
  }

  /** Something that a client may well ask. */
  ask(random: Random): Spec {
    if (random.chance(4)) this.renew()
    const { id, key, epoch } = this
    const spec: Spec = {
      mark: 0xe1,
      ask: 0,
      id,
      key,
      epoch,
      serial: 0,
      quiet: random.one([0, 0, 0, 500, 4000]),
      life: random.one([0, 0, 0, 3000]),
      has: { ...this.has },
      at: { ...this.at },
      records: [],
    }
    if (!this.opened) {
      spec.ask =
        Ask.open | (random.chance(10) ? random.one([Ask.standby, Ask.stream, Ask.ticket, Ask.hold]) : 0)
      spec.records.push(hello(random))
      this.opened = true
    } else if (random.chance(35)) {
      spec.ask = Ask.hold | (random.chance(40) ? Ask.stream : 0)
    } else if (random.chance(10)) spec.ask = Ask.ticket
    else if (random.chance(2)) spec.ask = Ask.probe | random.one([0, Ask.hold, Ask.hold | Ask.stream])
    if (random.chance(6)) spec.ask |= Ask.again
    if (random.chance(4)) spec.ask |= Ask.standby
    if (random.chance(4)) spec.ask |= Ask.open
    const held = (spec.ask & Ask.hold) !== 0
    // Now and then word for word the same once more.
    if (!random.chance(5)) {
      if (held) this.heldSerial++
      else this.shortSerial++
    }
    spec.serial = held ? this.heldSerial : this.shortSerial
    if (!held || random.chance(10)) spec.records.push(...someParts(random, false))
    return spec
  }

  /** The next carrier. */
  renew(): void {
    this.epoch++
    this.shortSerial = 0
    this.heldSerial = 0
  }

  /** Takes in an answer; `from`: how many of its records were taken before. Returns how many are taken now. */
  heed(body: AnswerBody, from: number): number {
    this.lost = body.status === 2
    if (body.status !== 0) return body.records.length
    if (from === 0) this.at = { ...body.has }
    const place = { ...body.at }
    body.records.forEach(({ kind, more, payload }, i) => {
      if (kind === Kind.ticket) this.ticket = payload.toString('latin1')
      if (kind > Kind.close) return
      if (more) place.offset += payload.length
      else {
        place.number++
        place.offset = 0
      }
      const ahead = place.number - this.has.number || place.offset - this.has.offset
      if (i >= from && ahead > 0) this.has = { ...place }
    })
    return body.records.length
  }
}

function fill(random: Random, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => random.below(256))
}
