import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter, Malformed } from '../../shared/bytes.ts'
import { BodyReader, readAnswerHead, writeAnswerHead, writeRecord } from '../../shared/exchange.ts'
import {
  type Control,
  controlText,
  type Kind,
  kinds,
  type Piece,
  readControl,
  readText,
  readWelcome,
} from '../../shared/frame.ts'
import { maxControl } from '../../shared/limits.ts'
import { endPayload, readEnd } from '../../shared/message.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

const welcome = { got: 1, protocol: '', heartbeat: 1, patience: 1, maxBody: 256 }

const manyDigits = '1'.repeat(16)
const numbers = {
  good: ['0', '1', '9'.repeat(15)],
  bad: ['', '-1', '1.5', '1e3', ' 1', '1 ', '1\n', '1,', '1x', manyDigits],
}
const beats = {
  good: ['', 'there?', '\0\x7f\xff\n', 'x'.repeat(125)],
  bad: ['x'.repeat(126), '€', 'a\u0100'],
}
const ends = {
  good: ['1000,', '1000,bye', '4999,a,b\n', '1014,', `3000,${'x'.repeat(123)}`, `1000,${'€'.repeat(41)}`],
  bad: [
    ...['1005,', '1004,', '1015,', '999,', '5000,', '2999,', '01000,', '1000', '100,0', ',', '1000;x', 'x'],
    `1000,${'x'.repeat(124)}`,
    `1000,${'€'.repeat(42)}`,
    '\ufeff1000,',
  ],
}

/** Every control, with payloads that are good and such as no end of ours would send. */
const table: Record<Control['kind'], { good: readonly string[]; bad: readonly string[] }> = {
  close: { good: ['', ...ends.good], bad: [...ends.bad, '1006,'] },
  ping: beats,
  pong: beats,
  abort: { good: ['1006,', '1006,gone', ...ends.good], bad: ['', ...ends.bad] },
  welcome: {
    good: [
      { ...welcome },
      { ...welcome, start: 0, later: [] },
      { ...welcome, protocol: 'ä€😀', later: 'x'.repeat(1000) },
    ].map((one) => JSON.stringify(one)),
    bad: [
      ...['', '{}', 'null', '[]', '1', '{'],
      ...[
        { start: '1' },
        { got: -1 },
        { got: 0.5 },
        { start: 0.5 },
        { start: 1e300 },
        { got: 1e15 },
        { got: null },
        { maxBody: 255 },
        { protocol: 1 },
        { heartbeat: '1' },
      ].map((wrong) => JSON.stringify({ ...welcome, ...wrong })),
      JSON.stringify({ ...welcome, later: 'x'.repeat(maxControl) }),
    ],
  },
  hello: { good: ['{"protocols":["a"]}'], bad: [] },
  ticket: { good: ['ABC.def'], bad: [] },
  pause: { good: ['0', '1'], bad: [...numbers.bad, '2', '11'] },
  ack: numbers,
  take: {
    good: ['0,0', `1,${'9'.repeat(15)}`],
    bad: ['', '1', '1,', ',1', '1,2,3', '1,-2', `${manyDigits},1`],
  },
  hear: numbers,
  long: numbers,
  superseded: { good: [''], bad: ['1', ' '] },
  token: { good: ['', 'a.b-c'], bad: [] },
}
const controls = Object.keys(table) as Control['kind'][]
const goods = controls.flatMap((kind) => table[kind].good.map((payload): Control => ({ kind, payload })))
const bads = controls.flatMap((kind) => table[kind].bad.map((payload): Control => ({ kind, payload })))

/** The same as a record, as it is read from a body. */
function throughBody({ kind, payload }: Control, more = false): Piece {
  const to = new ByteWriter()
  writeAnswerHead(to, { status: 0, has: { number: 0, offset: 0 }, at: { number: 0, offset: 0 } })
  writeRecord(to, kind, encodeText(payload), more)
  const [record] = new BodyReader(readAnswerHead, 1 << 20).push(to.whole())
  return record as Piece
}

describe('the table of kinds', () => {
  it('has the numbers of docs/PROTOCOL.md, and each control a row here', () => {
    expect(kinds.map((kind, number) => `${number} ${kind}`).slice(1)).toEqual([
      '1 text',
      '2 binary',
      '3 close',
      '4 ping',
      '5 pong',
      '6 abort',
      '7 welcome',
      '8 hello',
      '9 ticket',
      '10 pause',
      '11 ack',
      '12 take',
      '13 hear',
      '14 long',
      '15 superseded',
      '16 token',
    ])
    expect(controls).toEqual(kinds.slice(3))
  })

  it.each(goods)('$kind %# survives a WebSocket and a body', (control) => {
    const text = controlText(control.kind, control.payload)
    expect(text.slice(0, 2)).toBe(`\0${String.fromCharCode(kinds.indexOf(control.kind))}`)
    expect(readControl(readText(text))).toEqual(control)
    expect(readControl(throughBody(control))).toEqual(control)
  })

  it.each(bads)('$kind %# is refused on both when malformed: $payload', (control) => {
    expect(readControl(readText(controlText(control.kind, control.payload)))).toBeUndefined()
    expect(readControl(throughBody(control))).toBeUndefined()
  })

  it.each(goods)('$kind %# is refused in pieces', (control) => {
    expect(readControl(throughBody(control, true))).toBeUndefined()
  })

  it.each(controls)('%s is refused when it is not UTF-8', (kind) => {
    expect(readControl({ kind, payload: Uint8Array.of(0x31, 0xff) })).toBeUndefined()
  })

  it.each(['text', 'binary', '', undefined] as (Kind | '' | undefined)[])('%s is no control', (kind) => {
    expect(readControl({ kind, payload: '' })).toBeUndefined()
  })

  it('ends where it ends: other numbers are no kinds', () => {
    const known = Array.from({ length: 0x10000 }, (_, number) => number).filter(
      (number) => readText(`\0${String.fromCharCode(number)}1`).kind,
    )
    expect(known).toEqual(kinds.slice(1).map((_, index) => index + 1))
    for (const number of [0, 17, 127]) {
      const head = [0xe1, 0, 0, 0, 0, 0]
      const body = Uint8Array.from([...head, number, 0])
      expect(() => new BodyReader(readAnswerHead, 100).push(body)).toThrow(Malformed)
    }
  })
})

describe('any control', () => {
  const payload = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(...goods).map((one) => one.payload),
  )

  it('is no escaped message, and reads the same on a WebSocket and in a body', () => {
    fc.assert(
      fc.property(fc.constantFrom(...controls), payload, (kind, said) => {
        const text = controlText(kind, said)
        const one = readControl(readText(text))
        const other = readControl(throughBody({ kind, payload: said }))
        // An expect() costs many times what it looks at: only what differs is shown.
        if (text[0] !== '\0' || text[1] === '\0') expect(text).toBe('a control')
        if (JSON.stringify(one) !== JSON.stringify(other)) expect(one).toEqual(other)
      }),
      { numRuns: 3000 },
    )
  })

  it('and any text at all is read or refused, and never throws', () => {
    const first = fc.nat(20).map((number) => String.fromCharCode(number))
    fc.assert(
      fc.property(first, payload, (kind, rest) => {
        const said = readControl(readText(`\0${kind}${rest}`))
        if (!said) return
        const again = readControl(readText(controlText(said.kind, said.payload)))
        if (JSON.stringify(again) !== JSON.stringify(said)) expect(again).toEqual(said)
      }),
      { numRuns: 3000 },
    )
  })

  it('and any bytes at all are read or refused, and never throw', () => {
    fc.assert(
      fc.property(fc.constantFrom(...controls), fc.uint8Array(), fc.boolean(), (kind, bytes, more) => {
        const said = readControl({ kind, payload: bytes, more })
        if (said && said.payload !== decodeText(bytes)) expect(said.payload).toBe(decodeText(bytes))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('ends', () => {
  it('come back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 4999 }), fc.string({ unit: 'grapheme' }), (code, reason) => {
        const said = code === 1005 ? { code, reason: '' } : { code, reason }
        expect(readEnd(endPayload(code, reason))).toEqual(said)
      }),
    )
  })
})

it('a welcome may have members that nobody knows', () => {
  expect(readWelcome(JSON.stringify({ ...welcome, later: [], kind: 'close' }))).toMatchObject(welcome)
})
