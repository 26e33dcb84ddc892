import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ByteWriter } from '../../shared/bytes.ts'
import { writeMessages } from '../../shared/carry.ts'
import { Fifo } from '../../shared/fifo.ts'
import type { Frame } from '../../shared/frame.ts'
import { defaultLimits, type Limits } from '../../shared/limits.ts'
import { Link, type SessionEvent } from '../../shared/link.ts'
import { binaryMessage, closeMessage, type Message, textMessage } from '../../shared/message.ts'
import { eventOverhead, messageOverhead, PortableSession as Session } from '../../shared/snapshot.ts'
import { encodeText } from '../../shared/text.ts'

const start = 1000
const zero = { number: 0, offset: 0 }
const never = Number.POSITIVE_INFINITY

function make(limits: Partial<Limits> = {}): Session {
  return new Session({ ...defaultLimits, ...limits }, start)
}

function joined(session: Session, epoch = 1, delay = 250, now = start): Link {
  const link = new Link(epoch, delay)
  expect(session.attach(link, session.acknowledged, now)).toBe('attached')
  return link
}

function text(data: string): Message {
  return textMessage(data, data.length)
}

function frames(session: Session, link: Link): Frame[] {
  const all: Frame[] = []
  for (let frame = session.poll(link); frame; frame = session.poll(link)) all.push(frame)
  return all
}

function said(session: Session, link: Link): (string | number | Uint8Array)[] {
  return frames(session, link).map((frame) =>
    frame.kind === 'ack' ? Number(frame.payload) : 'data' in frame ? frame.data : frame.kind,
  )
}

function events(session: Session): SessionEvent[] {
  const all: SessionEvent[] = []
  for (let event = session.event(); event; event = session.event()) all.push(event)
  return all
}

describe('sending', () => {
  it('counts bytes until a carrier has them', () => {
    const session = make()
    session.send(text('abc'))
    expect(session.unsentBytes).toBe(3)
    const link = joined(session)
    expect(said(session, link)).toEqual(['abc'])
    expect(session.unsentBytes).toBe(0)
    session.detach(link, start)
    expect(session.unsentBytes).toBe(3)
    session.acknowledge({ number: 1, offset: 0 })
    expect(session.unsentBytes).toBe(0)
  })

  it('is full at the limit, not before, and always takes one message when nothing waits', () => {
    const session = make({ maxBuffered: 1000 })
    expect(session.send(binaryMessage(new Uint8Array(5000)))).toBe('taken')
    expect(session.send(text(''))).toBe('full')
    const link = joined(session)
    expect(frames(session, link)).toHaveLength(1)
    expect(session.send(text(''))).toBe('full')
    session.acknowledge({ number: 1, offset: 0 })
    expect(session.send(text('x'))).toBe('taken')
  })

  it('is full at some time with empty messages, too', () => {
    const session = make({ maxBuffered: 10_000 })
    let taken = 0
    while (session.send(text('')) === 'taken') expect(++taken).toBeLessThan(1000)
    expect(taken).toBeGreaterThan(100)
  })

  it('is over after a close, ours or theirs', () => {
    const session = make()
    session.close(1000, '', start)
    expect(session.send(text('x'))).toBe('closed')
    const other = make()
    other.receive(joined(other), 'close', '1000,', start)
    expect(other.send(text('x'))).toBe('closed')
  })
})

describe('a carrier', () => {
  it('of a lower epoch is older; one that has what was never sent is impossible', () => {
    const session = make()
    joined(session, 2)
    expect(session.attach(new Link(1, 0), zero, start)).toBe('older')
    expect(session.attach(new Link(3, 0), { number: 1, offset: 0 }, start)).toBe('impossible')
    expect(session.epoch).toBe(2)
  })

  it('that takes over begins after what the other end has, and nothing more is sent on the older one', () => {
    const session = make()
    for (const data of ['a', 'b', 'c']) session.send(text(data))
    const older = joined(session)
    expect(said(session, older)).toEqual(['a', 'b', 'c'])
    const link = new Link(2, 250)
    expect(session.attach(link, { number: 1, offset: 0 }, start)).toBe('attached')
    expect(link.sent).toBe(1)
    expect(events(session)).toEqual([])
    expect(session.poll(older)).toBeUndefined()
    expect(said(session, link)).toEqual(['b', 'c'])
  })

  it('keeps count when more is acknowledged than was sent on it', () => {
    const session = make()
    for (const data of ['a', 'b', 'c']) session.send(text(data))
    joined(session)
    const link = new Link(2, 250)
    session.attach(link, zero, start)
    expect(session.poll(link)).toMatchObject({ data: 'a' })
    expect(session.acknowledge({ number: 3, offset: 0 })).toBe(true)
    expect(session.wants(link)).toBe(false)
    session.send(text('d'))
    const all = frames(session, link)
    // The other end counts: the fourth on this carrier must be the fourth message.
    expect(all).toHaveLength(3)
    expect(all[2]).toMatchObject({ data: 'd' })
    expect(session.unsentBytes).toBe(0)
  })

  it('keeps count in a body, too', () => {
    const session = make()
    for (const data of ['a', 'b', 'c']) session.send(text(data))
    const link = joined(session)
    session.acknowledge({ number: 2, offset: 0 })
    const to = new ByteWriter()
    writeMessages(to, session, link, 1000)
    expect([...to.whole()]).toEqual([2, 0, 2, 0, 1, 1, 99])
  })

  it('that skips a message is faulty', () => {
    const session = make()
    const link = joined(session)
    link.got = 1
    session.receive(link, 'text', 'x', start)
    expect(events(session)).toEqual([{ type: 'drop', link, why: 'faulty' }])
  })

  it('that goes away leaves one that is not in use alone', () => {
    const session = make()
    const link = joined(session)
    session.detach(new Link(9, 0), start)
    expect(session.link).toBe(link)
  })

  it('goes back when asked to, to the byte', () => {
    const session = make()
    session.send(text('abcdef'))
    const link = joined(session)
    session.advance(link, 4, false)
    session.acknowledge({ number: 0, offset: 2 })
    session.resend(link)
    expect([link.sent, link.sentOffset]).toEqual([0, 2])
  })
})

describe('an acknowledgement', () => {
  function received(session: Session, link: Link, count: number, size: number, now = start): void {
    for (let i = 0; i < count; i++) session.receive(link, 'binary', new Uint8Array(size), now)
  }

  it('is owed after 64 messages', () => {
    const session = make()
    const link = joined(session)
    received(session, link, 63, 1)
    expect(session.wants(link)).toBe(false)
    received(session, link, 1, 1)
    expect(said(session, link)).toEqual([64])
    expect(session.wants(link)).toBe(false)
  })

  it('is owed after 128 KiB', () => {
    const session = make()
    const link = joined(session)
    received(session, link, 1, 128 * 1024 - 1)
    expect(session.wants(link)).toBe(false)
    received(session, link, 1, 1)
    expect(said(session, link)).toEqual([2])
  })

  it('is owed when its delay is over, counted from the first message', () => {
    const session = make()
    const link = joined(session)
    received(session, link, 1, 1, start + 10)
    received(session, link, 1, 1, start + 200)
    expect(session.nextTimeout()).toBe(start + 260)
    session.handleTimeout(start + 259)
    expect(session.wants(link)).toBe(false)
    session.handleTimeout(start + 260)
    expect(session.wants(link, false)).toBe(false)
    expect(said(session, link)).toEqual([2])
    expect(session.nextTimeout()).toBe(start + 200 + defaultLimits.silence)
  })

  it('is not said where heads state it', () => {
    const session = make()
    const link = joined(session)
    received(session, link, 64, 1)
    expect(session.pollControl(link, false)).toBeUndefined()
    session.ackStated()
    expect(session.wants(link)).toBe(false)
  })

  it('is owed once more for what comes once more: the first was lost', () => {
    const session = make()
    received(session, joined(session), 1, 1)
    session.ackStated()
    const link = joined(session, 2)
    received(session, link, 1, 1)
    expect(session.received.number).toBe(1)
    session.handleTimeout(session.nextTimeout())
    expect(said(session, link)).toEqual([1])
    session.receiveAt(zero, 'binary', new Uint8Array(1), false, start)
    expect(session.nextTimeout()).toBe(start + 250)
  })

  it('of more of a message than it has is refused', () => {
    const session = make()
    session.send(binaryMessage(new Uint8Array(10)))
    expect(session.acknowledge({ number: 0, offset: 10 })).toBe(true)
    expect(session.acknowledge({ number: 0, offset: 11 })).toBe(false)
    expect(session.acknowledge({ number: 1, offset: 1 })).toBe(false)
    session.close(1000, '', start)
    expect(session.acknowledge({ number: 1, offset: 1 })).toBe(false)
    expect(session.acknowledge({ number: 1, offset: 0 })).toBe(true)
  })

  it('of what was never sent is refused, an old one is not, and one after an abort is not', () => {
    const session = make()
    session.send(text('a'))
    expect(session.acknowledge({ number: 2, offset: 0 })).toBe(false)
    expect(session.acknowledge({ number: 1, offset: 0 })).toBe(true)
    expect(session.acknowledge(zero)).toBe(true)
    expect(session.acknowledged).toEqual({ number: 1, offset: 0 })
    joined(session)
    session.send(text('b'))
    session.abort(1006, '', start)
    expect(session.ackArrived({ number: 2, offset: 0 }, start)).toBe(true)
  })

  it('frees what it covers, also in a long queue', () => {
    const session = make()
    for (let i = 0; i < 5000; i++) session.send(text('x'))
    session.acknowledge({ number: 3000, offset: 0 })
    const link = joined(session)
    expect(link.sent).toBe(3000)
    expect(frames(session, link)).toHaveLength(2000)
    expect(session.snapshot().out).toHaveLength(2000)
    session.acknowledge({ number: 5000, offset: 0 })
    expect(session.snapshot().out).toHaveLength(0)
  })
})

describe('pieces', () => {
  it('are taken by their places, as far as they are new', () => {
    const session = make()
    expect(session.receiveAt({ number: 0, offset: 1 }, 'text', encodeText('b'), true, start)).toBe(false)
    expect(session.receiveAt({ number: 1, offset: 0 }, 'text', encodeText('b'), true, start)).toBe(false)
    expect(session.receiveAt(zero, 'text', encodeText('abc'), true, start)).toBe(true)
    expect(session.receiveAt(zero, 'text', encodeText('ab'), true, start)).toBe(true)
    expect(session.receiveAt({ number: 0, offset: 1 }, 'text', encodeText('bcd'), true, start)).toBe(true)
    expect(session.received).toEqual({ number: 0, offset: 4 })
    expect(session.receiveAt({ number: 0, offset: 2 }, 'text', encodeText('cdef'), false, start)).toBe(true)
    expect(session.received).toEqual({ number: 1, offset: 0 })
    expect(events(session)).toEqual([{ type: 'message', binary: false, data: encodeText('abcdef') }])
  })

  it('end with an empty one, too, and many small ones do not keep the bodies they came in', () => {
    const session = make()
    const body = new Uint8Array(1 << 16)
    for (let i = 0; i < 300; i++) {
      session.receiveAt({ number: 0, offset: i }, 'binary', body.subarray(i, i + 1), true, start)
    }
    expect(session.snapshot().partial.buffer.byteLength).toBe(300)
    session.receiveAt({ number: 0, offset: 300 }, 'binary', new Uint8Array(0), false, start)
    expect(events(session)).toEqual([{ type: 'message', binary: true, data: new Uint8Array(300) }])
  })

  it('of more than the largest message close the session with 1009', () => {
    const session = make({ maxPayload: 10 })
    const link = joined(session)
    session.receiveAt(zero, 'binary', new Uint8Array(10), true, start)
    expect(session.closing).toBe(false)
    session.receiveAt({ number: 0, offset: 10 }, 'binary', new Uint8Array(1), true, start)
    expect(events(session)).toEqual([{ type: 'close', code: 1006, reason: 'message too big', clean: false }])
    expect(frames(session, link)).toMatchObject([{ kind: 'close', data: '1009,message too big' }])
  })
})

describe('after the end', () => {
  it('keeps no piece of a message, and acknowledges it all the same', () => {
    const session = make()
    const link = joined(session)
    session.fail(1008, 'enough', start)
    const before = session.ownBytes
    const piece = new Uint8Array(80)
    for (let at = 0; at < 5; at++)
      expect(session.receiveAt({ number: 0, offset: at * 80 }, 'binary', piece, true, start)).toBe(true)
    expect(session.received).toEqual({ number: 0, offset: 400 })
    expect(session.ownBytes).toBe(before)
    session.receiveAt({ number: 0, offset: 400 }, 'binary', piece, false, start)
    expect(session.received).toEqual({ number: 1, offset: 0 })
    expect(events(session)).toMatchObject([{ type: 'close', code: 1006 }])
    expect(frames(session, link)).toMatchObject([{ kind: 'close', data: '1008,enough' }])
  })

  it('a close in pieces is a fault, however many bytes were counted before it', () => {
    const session = make()
    const link = joined(session)
    session.receiveAt(zero, 'text', new Uint8Array(1000), true, start)
    session.receiveAt({ number: 0, offset: 1000 }, 'close', '', false, start)
    expect(events(session)).toMatchObject([{ code: 1006, reason: 'malformed close' }])
    expect(frames(session, link)).toMatchObject([{ kind: 'close', data: '1002,malformed close' }])
  })
})

describe('what many sessions share', () => {
  it('counts a payload once for all queues that it is in, and until it has left the last', () => {
    let counted = 0
    const ledger = {
      add: (bytes: number) => {
        counted += bytes
      },
    }
    const one = new Session(defaultLimits, start, ledger)
    const other = new Session(defaultLimits, start, ledger)
    const forMany = { ...binaryMessage(new Uint8Array(100)), shared: { holders: 0 } }
    one.send(forMany)
    other.send(forMany)
    one.send(binaryMessage(new Uint8Array(7)))
    expect(counted).toBe(107)
    one.acknowledge({ number: 1, offset: 0 })
    expect(counted).toBe(107)
    other.abort(1006, '', start)
    expect(counted).toBe(7)
    one.discard()
    expect(counted).toBe(0)
  })

  it('weighs what it keeps', () => {
    const session = make()
    session.receive(joined(session), 'binary', new Uint8Array(1000), start)
    session.receiveAt({ number: 1, offset: 0 }, 'binary', new Uint8Array(500), true, start)
    expect(session.ownBytes).toBe(eventOverhead + 1500)
    session.send(binaryMessage(new Uint8Array(10)))
    expect(session.weight).toBe(eventOverhead + 1500 + messageOverhead + 10)
    events(session)
    expect(session.ownBytes).toBe(messageOverhead + 500)
  })

  it('weighs of a message for many its part, by the oldest of what waits', () => {
    const [one, other] = [make(), make()]
    const count = 1000
    for (let i = 0; i < count; i++) {
      const forMany = { ...binaryMessage(new Uint8Array(100)), shared: { holders: 0 } }
      one.send(forMany)
      other.send(forMany)
    }
    expect(one.weight).toBe(count * (messageOverhead + 50))
    other.acknowledge({ number: count, offset: 0 })
    expect(other.weight).toBe(0)
    expect(one.weight).toBe(count * (messageOverhead + 100))
    one.acknowledge({ number: count, offset: 0 })
    expect(one.weight).toBe(0)
  })
})

describe('closing', () => {
  it('is answered with the same code and reason, and done when both are acknowledged', () => {
    const session = make()
    const link = joined(session)
    session.receive(link, 'close', '4000,bye', start)
    expect(events(session)).toEqual([{ type: 'close', code: 4000, reason: 'bye', clean: true }])
    expect(session.done).toBe(false)
    expect(frames(session, link)).toEqual([{ kind: 'ack', payload: '1' }, closeMessage(4000, 'bye')])
    session.acknowledge({ number: 1, offset: 0 })
    expect(session.done).toBe(true)
  })

  it('from both sides at once tells each the code of the other', () => {
    const session = make()
    const link = joined(session)
    session.close(4001, 'mine', start)
    session.receive(link, 'close', '4002,theirs', start)
    expect(events(session)).toMatchObject([{ code: 4002, reason: 'theirs', clean: true }])
    expect(session.done).toBe(false)
    session.acknowledge({ number: 1, offset: 0 })
    expect(session.done).toBe(true)
  })

  it('tells nothing after the close, and nothing twice', () => {
    const session = make()
    const link = joined(session)
    session.receive(link, 'close', '1000,', start)
    events(session)
    session.receive(link, 'text', 'x', start)
    session.pingArrived(link, 'p', start)
    session.abortArrived(1006, '')
    expect(events(session)).toEqual([])
  })

  it('is given up when patience is over, even on a carrier that lives', () => {
    const session = make({ silence: 1e9 })
    joined(session)
    session.close(1000, '', start + 5)
    expect(session.nextTimeout()).toBe(start + 5 + defaultLimits.patience)
    session.handleTimeout(session.nextTimeout() - 1)
    expect(session.over).toBe(false)
    session.handleTimeout(session.nextTimeout())
    expect(events(session)).toMatchObject([{ code: 1006, clean: false }])
    expect(session.done).toBe(true)
    expect(session.nextTimeout()).toBe(never)
  })

  it('has its time and no more, whatever the other end does meanwhile', () => {
    const session = make({ silence: 1e9, closeTimeout: 20_000 })
    session.send(binaryMessage(new Uint8Array(100)))
    const link = joined(session)
    session.close(1000, '', start)
    for (let offset = 1; offset < 40; offset++) {
      session.ackArrived({ number: 0, offset }, start + offset * 500)
      session.pingArrived(link, '', start + offset * 500)
      expect(session.nextTimeout()).toBe(start + 20_000)
    }
    session.detach(link, start + 19_000)
    joined(session, 2)
    session.handleTimeout(start + 19_999)
    expect(session.over).toBe(false)
    session.handleTimeout(start + 20_000)
    expect(events(session).at(-1)).toMatchObject({ type: 'close', code: 1006, reason: '', clean: false })
    expect(session.done).toBe(true)
  })

  it('has longer where much waits to be sent before it', () => {
    const session = make({ silence: 1e9 })
    session.send(binaryMessage(new Uint8Array(80_000)))
    joined(session)
    session.close(1000, '', start)
    expect(session.nextTimeout()).toBe(start + defaultLimits.patience + 5_000)
  })

  it('by an abort is told on the carrier in use, or at once over without one', () => {
    const session = make()
    const link = joined(session)
    session.send(text('x'))
    session.abort(1013, 'full', start)
    expect(events(session)).toEqual([{ type: 'close', code: 1013, reason: 'full', clean: false }])
    expect(session.done).toBe(false)
    expect(frames(session, link)).toEqual([{ kind: 'abort', payload: '1013,full' }])
    expect(session.done).toBe(true)
    const alone = make()
    alone.abort(1006, '', start)
    expect(alone.done).toBe(true)
  })

  it('by an abort is told on the next carrier if one takes over first', () => {
    const session = make()
    joined(session)
    session.send(text('x'))
    session.abort(1006, '', start)
    const link = new Link(2, 0)
    expect(session.attach(link, { number: 1, offset: 0 }, start)).toBe('attached')
    expect(frames(session, link)).toMatchObject([{ kind: 'abort' }])
  })
})

describe('time', () => {
  it('of a close: its answer has 10 s on a carrier that lives, also where patience is shorter', () => {
    for (const patience of [0, 100]) {
      const session = make({ patience })
      const link = joined(session)
      session.close(1000, '', start)
      expect(session.nextTimeout()).toBe(start + 10_000)
      session.detach(link, start + 5)
      expect(session.nextTimeout()).toBe(start + 5 + patience)
    }
  })

  it('without a carrier: patience, from the moment it was lost', () => {
    const session = make({ patience: 100 })
    expect(session.nextTimeout()).toBe(start + 100)
    const link = joined(session)
    session.detach(link, start + 50)
    expect(session.nextTimeout()).toBe(start + 150)
    session.handleTimeout(start + 149)
    expect(session.over).toBe(false)
    session.handleTimeout(start + 150)
    expect(events(session)).toMatchObject([{ type: 'close', code: 1006, clean: false }])
    expect([session.over, session.done]).toEqual([true, true])
  })

  it('of silence: asks, and after the grace gives the carrier up', () => {
    const session = make({ silence: 100, grace: 20 })
    const link = joined(session)
    session.handleTimeout(start + 99)
    expect(session.wants(link)).toBe(false)
    expect(session.nextTimeout()).toBe(start + 100)
    session.handleTimeout(start + 100)
    expect(frames(session, link)).toEqual([{ kind: 'ping', payload: '' }])
    expect(session.nextTimeout()).toBe(start + 120)
    session.handleTimeout(start + 119)
    expect(session.link).toBe(link)
    session.handleTimeout(start + 120)
    expect(session.link).toBeUndefined()
    expect(events(session)).toEqual([{ type: 'drop', link, why: 'silent' }])
    expect(session.nextTimeout()).toBe(start + 120 + defaultLimits.patience)
  })

  it('of silence, with a timer that comes late: asks first all the same', () => {
    const session = make({ silence: 100, grace: 20 })
    const link = joined(session)
    session.handleTimeout(start + 60_000)
    expect(session.link).toBe(link)
    expect(frames(session, link)).toEqual([{ kind: 'ping', payload: '' }])
    expect(session.nextTimeout()).toBe(start + 60_020)
    session.pongArrived('', start + 60_010)
    expect(session.nextTimeout()).toBe(start + 60_110)
  })

  it('of what the application asked: again on another carrier, or after a loss, until it is answered', () => {
    const session = make()
    const first = joined(session)
    const asked = [{ kind: 'ping', payload: 'there?' }]
    session.ping('there?')
    expect(frames(session, first)).toEqual(asked)
    session.resend(first)
    expect(frames(session, first)).toEqual(asked)
    session.detach(first, start)
    const second = joined(session, 2)
    expect(frames(session, second)).toEqual(asked)
    session.pongArrived('there?', start)
    expect(frames(session, joined(session, 3))).toEqual([])
  })

  it('of what the application asked without a carrier: once', () => {
    const session = make()
    session.ping('there?')
    expect(frames(session, joined(session))).toEqual([{ kind: 'ping', payload: 'there?' }])
  })

  it('of pings: at every interval, on the carrier in use', () => {
    const session = make({ pingInterval: 100, silence: 1e9 })
    const link = joined(session)
    expect(session.nextTimeout()).toBe(start + 100)
    session.handleTimeout(start + 100)
    expect(said(session, link)).toEqual(['ping'])
    expect(session.nextTimeout()).toBe(start + 200)
    session.detach(link, start + 150)
    expect(session.nextTimeout()).toBe(start + 150 + defaultLimits.patience)
  })

  it('anything that arrives is a sign of life', () => {
    const session = make({ silence: 100, grace: 20 })
    const link = joined(session)
    const alive = (act: () => void, now: number): void => {
      act()
      expect(session.nextTimeout()).toBe(now + 100)
    }
    alive(() => session.heard(start + 10), start + 10)
    alive(() => session.pingArrived(link, '', start + 20), start + 20)
    alive(() => session.pongArrived('', start + 30), start + 30)
    alive(() => session.ackArrived(zero, start + 40), start + 40)
    alive(
      () => session.receiveAt({ number: 7, offset: 0 }, 'text', new Uint8Array(1), false, start + 50),
      start + 50,
    )
  })
})

describe('pings', () => {
  it('are answered with their payload, on the carrier they came on', () => {
    const session = make()
    const link = joined(session)
    session.pingArrived(link, 'x', start)
    expect(frames(session, link)).toEqual([{ kind: 'pong', payload: 'x' }])
    expect(events(session)).toEqual([{ type: 'ping', payload: 'x' }])
  })

  it('wait for a carrier', () => {
    const session = make()
    session.ping('x')
    expect(frames(session, joined(session))).toEqual([{ kind: 'ping', payload: 'x' }])
    session.pong('y')
    expect(session.wants(session.link as Link)).toBe(true)
  })
})

describe('a snapshot', () => {
  it('holds all that is needed', () => {
    const session = make()
    const link = joined(session, 3)
    session.send(text('a'))
    session.send(text('b'))
    session.acknowledge({ number: 1, offset: 0 })
    session.receive(link, 'text', 'in', start)
    session.receiveAt({ number: 1, offset: 0 }, 'binary', Uint8Array.of(1, 2), true, start)
    session.close(4000, 'end', start)
    const copy = Session.restore(structuredClone(session.snapshot()), session.limits, start + 9)
    expect(copy.received).toEqual({ number: 1, offset: 2 })
    expect(copy.acknowledged).toEqual({ number: 1, offset: 0 })
    expect([copy.epoch, copy.closing, copy.link]).toEqual([3, true, undefined])
    expect(copy.unsentBytes).toBe(session.unsentBytes)
    expect(copy.nextTimeout()).toBe(start + 9 + defaultLimits.patience)
    const closing = Session.restore(session.snapshot(), { ...session.limits, closeTimeout: 50 }, start + 9)
    joined(closing, 5)
    expect(closing.nextTimeout()).toBe(start + 59)
    expect(copy.attach(new Link(2, 0), zero, start)).toBe('older')
    expect(events(copy)).toEqual([{ type: 'message', binary: false, data: 'in' }])
    expect(said(copy, joined(copy, 4))).toEqual(['b', '4000,end'])
    copy.receiveAt({ number: 1, offset: 2 }, 'binary', Uint8Array.of(3), false, start)
    expect(events(copy)).toEqual([{ type: 'message', binary: true, data: Uint8Array.of(1, 2, 3) }])
  })
})

describe('the number of the message that is told', () => {
  it('counts messages and a close, and nothing else', () => {
    const session = make()
    const link = joined(session)
    session.receive(link, 'text', 'a', start)
    session.pongArrived('', start)
    session.receive(link, 'text', 'b', start)
    session.pingArrived(link, '', start)
    session.receive(link, 'close', '1000,', start)
    const told: [SessionEvent['type'], number][] = []
    for (let event = session.event(); event; event = session.event()) told.push([event.type, session.told])
    expect(told).toEqual([
      ['message', 1],
      ['pong', 1],
      ['message', 2],
      ['ping', 2],
      ['close', 3],
    ])
  })

  it('is the last one when the messages that waited were dropped', () => {
    const session = make()
    const link = joined(session)
    session.receive(link, 'text', 'a', start)
    session.receive(link, 'close', '1000,', start)
    session.forgetUntold()
    expect(session.told).toBe(1)
    expect(session.event()?.type).toBe('close')
    expect(session.told).toBe(2)
  })

  it('takes no look at the messages that wait', () => {
    const session = make()
    const link = joined(session)
    const count = 4096
    for (let i = 0; i < count; i++) session.receive(link, 'text', 'a', start)
    const look = vi.spyOn(Fifo.prototype, 'at')
    onTestFinished(() => look.mockRestore())
    for (let i = 1; i <= count; i++) {
      session.event()
      expect(session.told).toBe(i)
    }
    expect(look.mock.calls.length).toBeLessThan(count * 4)
  })
})
