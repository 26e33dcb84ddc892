import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hear } from '../../shared/carry.ts'
import { type Kind, kinds, type Piece } from '../../shared/frame.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { PortableSession as Session } from '../../shared/snapshot.ts'
import { encodeText } from '../../shared/text.ts'

function joined(): { session: Session; link: Link } {
  const session = new Session(defaultLimits, 0)
  const link = new Link(1, 0)
  session.attach(link, session.acknowledged, 0)
  return { session, link }
}

/** What the application is told, and what the other end is. */
function toldBy(session: Session, link: Link): { told: unknown[]; said: unknown[] } {
  const told: unknown[] = []
  const said: unknown[] = []
  for (let event = session.event(); event; event = session.event()) told.push(event)
  for (let frame = session.poll(link); frame; frame = session.poll(link))
    said.push([frame.kind, 'data' in frame ? frame.data : frame.payload])
  return { told, said }
}

/** The two ways in which a control comes. */
const ways: readonly [string, (kind: Kind, payload: string) => Piece, boolean][] = [
  ['a WebSocket', (kind, payload) => ({ kind, payload }), false],
  ['a body', (kind, payload) => ({ kind, payload: encodeText(payload), more: false }), true],
]

describe.each(ways)('a control that comes over %s', (_way, make, placed) => {
  const place = () => (placed ? { number: 0, offset: 0 } : undefined)

  it('close: the application is told, and it is answered', () => {
    const { session, link } = joined()
    const at = place()
    expect(hear(session, link, make('close', '4000,bye'), 0, at)).toBe(true)
    expect(toldBy(session, link)).toEqual({
      told: [{ type: 'close', code: 4000, reason: 'bye', clean: true }],
      said: [
        ['ack', '1'],
        ['close', '4000,bye'],
      ],
    })
    if (placed) expect(at).toEqual({ number: 1, offset: 0 })
  })

  it('close without a code: 1005', () => {
    const { session, link } = joined()
    hear(session, link, make('close', ''), 0, place())
    expect(toldBy(session, link).told).toEqual([{ type: 'close', code: 1005, reason: '', clean: true }])
  })

  it('abort: it is over here and now', () => {
    const { session, link } = joined()
    hear(session, link, make('abort', '1006,gone'), 0, place())
    expect(toldBy(session, link).told).toEqual([{ type: 'close', code: 1006, reason: 'gone', clean: false }])
    expect(session.done).toBe(true)
  })

  it('ping: a pong with the same payload is owed', () => {
    const { session, link } = joined()
    hear(session, link, make('ping', 'é'), 0, place())
    expect(toldBy(session, link)).toEqual({ told: [{ type: 'ping', payload: 'é' }], said: [['pong', 'é']] })
  })

  it('ack: what is acknowledged is forgotten; what was never sent is a fault', () => {
    const { session, link } = joined()
    session.close(1000, '', 0)
    hear(session, link, make('ack', '1'), 0, place())
    expect(session.acknowledged.number).toBe(1)
    const other = joined()
    hear(other.session, other.link, make('ack', '1'), 0, place())
    expect(toldBy(other.session, other.link)).toEqual({
      told: [{ type: 'close', code: 1006, reason: 'bad ack', clean: false }],
      said: [['close', '1002,bad ack']],
    })
  })

  it.each([
    ['close', '1005,'],
    ['close', `1000,${'x'.repeat(124)}`],
    ['abort', ''],
    ['ping', '€'],
    ['ack', '-1'],
    ...(['pong', 'welcome', 'hello', 'ticket', 'pause', 'take', 'hear', 'long', 'superseded'] as const).map(
      (kind) => [kind, kind === 'superseded' ? '' : '1'] as const,
    ),
  ] as [Kind, string][])('%s %j, which is malformed or for no session: 1002', (kind, payload) => {
    const { session, link } = joined()
    const at = place()
    expect(hear(session, link, make(kind, payload), 0, at)).toBe(true)
    expect(toldBy(session, link)).toEqual({
      told: [{ type: 'close', code: 1006, reason: `malformed ${kind}`, clean: false }],
      said: [['close', `1002,malformed ${kind}`]],
    })
    if (placed) expect(at).toEqual({ number: 0, offset: 0 })
  })
})

describe('what is no control', () => {
  it.each(['text', 'binary', '', undefined] as const)('%s as a control is a fault', (kind) => {
    const { session, link } = joined()
    hear(session, link, { kind, payload: '1' }, 0)
    expect(toldBy(session, link).said).toEqual([['close', `1002,malformed ${kind || 'frame'}`]])
  })

  it('messages in a body have their places one after the other', () => {
    const { session, link } = joined()
    const at = { number: 0, offset: 0 }
    const say = (kind: Kind, text: string, more = false) =>
      hear(session, link, { kind, payload: encodeText(text), more }, 0, at)
    expect(say('text', 'one, ', true)).toBe(true)
    expect(at).toEqual({ number: 0, offset: 5 })
    expect(say('ping', 'between')).toBe(true)
    expect(say('text', 'whole')).toBe(true)
    expect(at).toEqual({ number: 1, offset: 0 })
    expect(say('binary', 'two')).toBe(true)
    const { told } = toldBy(session, link)
    expect(told).toMatchObject([
      { type: 'ping' },
      { type: 'message', binary: false, data: encodeText('one, whole') },
      { type: 'message', binary: true, data: encodeText('two') },
    ])
  })

  it('behind a gap a message or a close is not taken, and is no fault', () => {
    const { session, link } = joined()
    const at = { number: 1, offset: 0 }
    expect(hear(session, link, { kind: 'text', payload: encodeText('x') }, 0, at)).toBe(false)
    expect(hear(session, link, { kind: 'close', payload: encodeText('1000,') }, 0, at)).toBe(false)
    expect(at).toEqual({ number: 3, offset: 0 })
    expect(toldBy(session, link)).toEqual({ told: [], said: [] })
    expect(session.received.number).toBe(0)
  })

  it('whatever comes, nothing is thrown, and only data and closes are counted', () => {
    const piece = fc.record({
      kind: fc.constantFrom(...kinds) as fc.Arbitrary<Kind>,
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('', '1', '1000,', '1006,x', '0,0').map((one) => encodeText(one)),
      ),
      more: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const { session, link } = joined()
        const at = { number: 0, offset: 0 }
        for (const one of pieces) {
          const before = at.number * 1e6 + at.offset
          hear(session, link, one, 0, at)
          const moved = at.number * 1e6 + at.offset > before
          if (moved && !['text', 'binary', 'close'].includes(one.kind)) expect(one.kind).toBe('a message')
        }
      }),
      { numRuns: 1000 },
    )
  })
})
