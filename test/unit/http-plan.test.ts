// The plan of an HTTP carrier as a table: what the carrier is, and what it begins; what an exchange says when it is over.
import { describe, expect, test } from 'vitest'
import { CarrierLink } from '../../client/base/carrier.ts'
import type { Transport } from '../../client/base/types.ts'
import type { Why } from '../../client/base/why.ts'
import {
  type HttpView,
  type LaneState,
  nextStep,
  type Step,
  verdict,
} from '../../client/carriers/http-plan.ts'
import type { Session } from '../../shared/session.ts'

interface Facts {
  readonly transport?: Transport
  readonly standby?: boolean
  readonly state?: HttpView['state']
  /** The session is on another carrier. */
  readonly left?: boolean
  readonly welcome?: boolean
  readonly paused?: boolean
  readonly held?: LaneState
  readonly short?: LaneState
  readonly again?: boolean
  readonly slot?: HttpView['slot']
  readonly ticket?: string
  readonly settled?: boolean
  readonly lateness?: HttpView['lateness']
  readonly tested?: HttpView['tested']
  /** The session has a message to send. */
  readonly message?: boolean
  /** The session has something to say, a message or not. */
  readonly wants?: boolean
}

/** A carrier in use over long-polling, with a slot, at rest: what a row does not say. */
function viewOf({
  transport = 'polling',
  standby = false,
  state = 'used',
  left = false,
  ...facts
}: Facts): HttpView {
  const link = new CarrierLink(transport, 1, 0, standby, 0)
  const view = {
    link,
    state,
    host: {
      pilot: {
        welcome: (facts.welcome ?? state === 'used') ? {} : undefined,
        paused: facts.paused ?? false,
      },
      session: {
        link: left || state === 'opening' ? undefined : link,
        peek: () => (facts.message ? {} : undefined),
        wants: () => (facts.wants ?? facts.message ?? false) && view.short.is === 'free',
      } as unknown as Session,
    },
    held: { is: facts.held ?? 'free', again: false },
    short: { is: facts.short ?? 'free', again: facts.again ?? false },
    slot: facts.slot ?? 'leased',
    ticket: facts.ticket,
    settled: facts.settled ?? true,
    lateness: facts.lateness ?? 'no',
    tested: facts.tested ?? 'yes',
  } satisfies HttpView
  return view
}

/** What the carrier does, as far as the plan sees it. */
const does: { readonly [S in Step]: (view: HttpView) => void } = {
  quit: (view) => {
    view.state = 'over'
  },
  giveBackSlot: (view) => {
    view.slot = 'vacant'
    view.ticket = undefined
  },
  askForSlot: ({ held }) => {
    held.is = 'asking'
  },
  holdOne: ({ held }) => {
    held.is = 'asked'
  },
  askOne: ({ short }) => {
    short.is = 'asked'
    short.again = false
  },
  askForTicket: ({ short }) => {
    short.is = 'asked'
    short.again = false
  },
}

function stepsOf(facts: Facts): Step[] {
  const view = viewOf(facts)
  const steps: Step[] = []
  for (let step = nextStep(view); step && steps.length < 9; step = nextStep(view)) {
    steps.push(step)
    does[step](view)
  }
  return steps
}

const streams = ['stream', 'sse'] as const

describe('what is begun', () => {
  const rows: readonly (readonly [sentence: string, facts: Facts, ...steps: Step[]])[] = [
    // Opening.
    ['the first exchange is a short one', { state: 'opening', settled: false }, 'askOne'],
    [
      'a stream, too, opens by a short exchange',
      { state: 'opening', transport: 'stream', settled: false },
      'askOne',
    ],
    ['an event stream asks for its ticket at once', { state: 'opening', transport: 'sse' }, 'askForTicket'],
    ['also when it resumes', { state: 'opening', transport: 'sse', welcome: true }, 'askForTicket'],
    [
      'but not beside others, because only one of them carries the session',
      { state: 'opening', transport: 'sse', standby: true },
      'askOne',
    ],
    ['while it is under way nothing else is asked', { state: 'opening', short: 'asked' }],
    ['nothing is held by what was never answered', { state: 'opening', short: 'asked', settled: true }],
    [
      'a long-poll that resumes beside another asks',
      { state: 'opening', standby: true, welcome: true },
      'askOne',
    ],
    [
      'a stream that resumes in its place asks',
      { state: 'opening', welcome: true, transport: 'stream' },
      'askOne',
    ],
    [
      'a first stream asks, although others are tried',
      { state: 'opening', standby: true, transport: 'stream' },
      'askOne',
    ],
    ...streams.flatMap((transport) => [
      [
        `${transport}: with standby and stream the answer begins as a stream: that alone proves it`,
        { state: 'opening', standby: true, welcome: true, transport },
        'holdOne',
      ] as const,
      [
        `${transport}: which needs no slot, as it is over soon`,
        { state: 'opening', standby: true, welcome: true, transport, slot: 'vacant' },
        'holdOne',
      ] as const,
      [
        `${transport}: and nothing beside it`,
        { state: 'opening', standby: true, welcome: true, transport, held: 'begun', again: true },
      ] as const,
    ]),
    // In use: what is held.
    ['one exchange is held', {}, 'holdOne'],
    ['and only one', { held: 'asked' }],
    ['not while it rests', { held: 'resting' }],
    ['not before the first messages have had the connection', { settled: false }],
    ['without a slot it asks for one', { slot: 'vacant' }, 'askForSlot'],
    ['over a stream as well', { slot: 'vacant', transport: 'stream' }, 'askForSlot'],
    ['and not twice', { slot: 'vacant', held: 'asking' }],
    ['where there was none, a short exchange asks', { slot: 'vacant', held: 'slotless' }, 'askOne'],
    ['and not while it rests', { slot: 'vacant', held: 'resting' }],
    [
      'a slot that is recalled is given back, and another asked for',
      { slot: 'recalled' },
      'giveBackSlot',
      'askForSlot',
    ],
    ['but not before what it is for has ended', { slot: 'recalled', held: 'begun' }],
    // In use: event streams.
    ['an event stream needs a ticket first', { transport: 'sse' }, 'askForTicket'],
    ['then it is held', { transport: 'sse', ticket: '1' }, 'holdOne'],
    [
      'not before the first messages have had the connection, if the ticket came with the welcome',
      { transport: 'sse', ticket: '1', settled: false },
    ],
    ['these go out meanwhile', { transport: 'sse', ticket: '1', settled: false, message: true }, 'askOne'],
    [
      'a slot is asked for meanwhile',
      { transport: 'sse', ticket: '1', settled: false, slot: 'vacant' },
      'askForSlot',
    ],
    ['no ticket is asked for beside another exchange', { transport: 'sse', short: 'asked' }],
    ['nor while one is held', { transport: 'sse', held: 'shown' }],
    [
      'beside the first exchange that is held with a slot a short one shows whether there is room for both',
      { transport: 'stream', held: 'asked', tested: 'no' },
      'askOne',
    ],
    ['whether or not it has begun', { transport: 'stream', held: 'begun', tested: 'no' }, 'askOne'],
    ['but not before anything is held', { held: 'asking', tested: 'no' }],
    ['an event stream may leave after it', { transport: 'sse', held: 'asked', tested: 'no' }],
    ['so it waits until that has begun', { transport: 'sse', held: 'begun', tested: 'no' }, 'askOne'],
    ['a slot comes before the ticket', { transport: 'sse', slot: 'vacant' }, 'askForSlot'],
    [
      'a recalled slot takes its ticket with it',
      { transport: 'sse', slot: 'recalled', ticket: '1' },
      'giveBackSlot',
      'askForSlot',
    ],
    // In use: what is asked.
    [
      'a message goes out by a short exchange, beside what is held',
      { held: 'shown', transport: 'stream', message: true },
      'askOne',
    ],
    [
      'and both are begun where neither is under way',
      { transport: 'stream', message: true },
      'holdOne',
      'askOne',
    ],
    ['one after the other', { held: 'shown', transport: 'stream', short: 'asked', message: true }],
    ['not while the last one rests', { held: 'shown', transport: 'stream', short: 'resting', message: true }],
    ['an acknowledgement as well', { held: 'shown', transport: 'stream', wants: true }, 'askOne'],
    [
      'after a failed exchange a new one is made',
      { held: 'begun', transport: 'stream', again: true },
      'askOne',
    ],
    [
      'a held exchange that is late is asked after',
      { held: 'begun', transport: 'stream', lateness: 'yes' },
      'askOne',
    ],
    ['once', { held: 'begun', transport: 'stream', lateness: 'asked' }],
    // Long-polling spares itself requests.
    ['a long-poll that is answered takes an acknowledgement along', { held: 'begun', wants: true }],
    ['but not a message', { held: 'begun', message: true }, 'askOne'],
    ['unless the server takes none now', { held: 'begun', message: true, paused: true }],
    ['one that waits leaves everything to a short exchange', { held: 'asked', wants: true }, 'askOne'],
    [
      'also what is no message while the server takes none',
      { held: 'asked', wants: true, paused: true },
      'askOne',
    ],
    // Left, and over.
    [
      'a request of a carrier that was left could overtake the next one',
      { left: true, held: 'begun', wants: true, again: true },
    ],
    ['it ends when nothing of it is under way', { left: true, wants: true }, 'quit'],
    ['not before its short exchange', { left: true, short: 'asked' }],
    ['nor its held one', { left: true, held: 'begun' }],
    ['what stands by is not left', { state: 'opening', left: true }, 'askOne'],
    ['what is over begins nothing', { state: 'over', message: true, again: true }],
  ]

  test.for(rows)('%s', ([, facts, ...steps]) => {
    expect(stepsOf(facts)).toEqual(steps)
  })
})

describe('what an exchange says that is over', () => {
  interface Exchange {
    readonly kind?: 'held' | 'short'
    readonly why?: Why
    readonly opening?: 'first' | 'again'
    readonly sound?: boolean
    readonly taken?: boolean
    readonly failures?: number
    readonly size?: number
    readonly balked?: number
    readonly piece?: number
  }

  function of({ kind = 'short', why, opening, sound = true, taken = true, ...rest }: Exchange) {
    const { failures = 0, size = 100, balked = 0, piece = 65_520 } = rest
    return verdict(kind === 'short', why, opening ?? false, sound, taken, { failures, size, balked }, piece)
  }

  const network: Why = { is: 'network', text: 'reset' }
  const status = (code: number): Why => ({ is: 'status', status: code, text: '' })
  const heldBack: Why = { is: 'held back' }
  const forbidden: Why = { is: 'not allowed', text: '' }

  test.for<readonly [sentence: string, exchange: Exchange, end: boolean, failures: number, why?: Why]>([
    ['it went well', { failures: 2 }, false, 0],
    ['a held one, too', { kind: 'held', failures: 2 }, false, 0],
    ['a held one does not ask what the server has taken', { kind: 'held', taken: false }, false, 0],
    ['a failed exchange is followed by another', { why: network }, false, 1, network],
    ['and that by a third', { why: network, failures: 1 }, false, 2, network],
    ['three in a row end the carrier', { why: network, failures: 2 }, true, 3, network],
    ['an error page is a failed exchange and nothing else', { why: status(404) }, false, 1, status(404)],
    ['in opening it ends the carrier', { why: status(404), opening: 'first' }, true, 1, status(404)],
    [
      'a server that failed may answer the next request',
      { why: status(502), opening: 'first' },
      false,
      1,
      status(502),
    ],
    ['whatever failed in it', { why: status(500), opening: 'first' }, false, 1, status(500)],
    ['but not if the request was wrong', { why: status(400), opening: 'first' }, true, 1, status(400)],
    ['what resumes comes again later', { why: status(502), opening: 'again' }, true, 1, status(502)],
    [
      'a network that fails says nothing of the server',
      { why: network, opening: 'again' },
      false,
      1,
      network,
    ],
    [
      'a redirect is not followed',
      { why: { is: 'redirected' }, opening: 'first' },
      false,
      1,
      { is: 'redirected' },
    ],
    ['what the server has not taken had no place', { taken: false }, false, 1, { is: 'not taken' }],
    ['a short one is no stream that could end early', { sound: false, opening: 'first' }, false, 0],
    [
      'a stream that never showed that it goes on ended early',
      { kind: 'held', sound: false },
      false,
      1,
      { is: 'ended early' },
    ],
    ['as did one that was to show it', { kind: 'held', opening: 'again' }, true, 1, { is: 'ended early' }],
    ['why it ended comes first', { kind: 'held', sound: false, why: network }, false, 1, network],
    ['a stream that is held back ends the carrier', { kind: 'held', why: heldBack }, true, 1, heldBack],
    ['a short one cannot be held back', { why: heldBack }, false, 1, heldBack],
    ['what the runtime forbids it forbids again', { why: forbidden }, true, 1, forbidden],
  ])('%s', ([, exchange, end, failures, why]) => {
    expect(of(exchange)).toMatchObject({ end, failures, why, lesson: false })
    expect(of(exchange).why).toEqual(why)
  })

  test.each<
    readonly [sentence: string, exchange: Exchange, piece: number, lesson: boolean, failures: number]
  >([
    [
      'a body that was refused is half as large the next time',
      { why: status(413), size: 40_000 },
      20_000,
      true,
      0,
    ],
    [
      'of the piece, where the body was larger than that',
      { why: status(413), size: 90_000 },
      32_760,
      true,
      0,
    ],
    ['also in opening', { why: status(413), size: 40_000, opening: 'first' }, 20_000, true, 0],
    ['but never less than is worth it', { why: status(413), size: 1200, piece: 1500 }, 1024, true, 0],
    ['then the carrier has failed', { why: status(413), size: 900, piece: 1024 }, 1024, false, 1],
    ['another failure is no matter of size', { why: network, size: 40_000 }, 65_520, false, 1],
    ['the second may be one', { why: network, size: 40_000, failures: 1 }, 20_000, false, 2],
    ['if the body was large', { why: network, size: 8192, failures: 1 }, 65_520, false, 2],
    ['what went well says nothing of size', { size: 40_000, failures: 1 }, 65_520, false, 0],
  ])('%s', (_, exchange, piece, lesson, failures) => {
    expect(of(exchange)).toMatchObject({ piece, lesson, failures, end: false })
  })

  test.for<readonly [sentence: string, exchange: Exchange, balked: number, piece?: number]>([
    ['a large body that failed is followed by a small one', { why: network, size: 40_000 }, 40_000],
    ['whatever was read', { why: status(502), size: 40_000 }, 40_000],
    ['of the piece, where the body was larger than that', { why: network, size: 90_000 }, 65_520],
    ['not if its size was named', { why: status(413), size: 40_000 }, 0, 20_000],
    ['not a small one', { why: network, size: 8192 }, 0],
    ['nor one that arrived, where another was lost', { taken: false, size: 40_000 }, 0],
    ['when the small one passes, the next may be large', { size: 8000, balked: 40_000 }, 0],
    [
      'when it fails too, it is the second failure in a row',
      { why: network, size: 8000, balked: 40_000, failures: 1 },
      0,
      20_000,
    ],
    [
      'a small one that is named too large is what counts',
      { why: status(413), size: 8000, balked: 40_000 },
      0,
      4000,
    ],
  ])('%s', ([, exchange, balked, piece = 65_520]) => {
    expect(of(exchange)).toMatchObject({ balked, piece, end: false })
  })
})
