/** Between a session and its carriers: what came is handed to the session, and what it has to send is given out. */
import type { ByteWriter } from './bytes.ts'
import { CloseCode } from './codes.ts'
import { writeRecord } from './exchange.ts'
import { type Control, type Piece, readControl } from './frame.ts'
import { maxRecords } from './limits.ts'
import type { Link } from './link.ts'
import { type Message, payloadOf, readEnd } from './message.ts'
import type { Session } from './session.ts'
import { encodeText } from './text.ts'

/**
 * Hands the session what came over a carrier. Each carrier keeps to itself what only it can deal with; a control that it
 * does not know, or whose payload is malformed, fails the session. `at` is the place of the next message in a body, and
 * moves behind what was heard. Returns false if something before this is missing: then it was not taken.
 */
export function hear(
  session: Session,
  link: Link,
  piece: Piece,
  now: number,
  at?: { number: number; offset: number },
  control: Control | undefined = readControl(piece),
): boolean {
  const { kind, payload, more = false } = piece
  const isData = kind === 'text' || kind === 'binary'
  if (at && (isData || control?.kind === 'close')) {
    const place = { ...at }
    if (more) at.offset += payload.length
    else {
      at.number++
      at.offset = 0
    }
    return session.receiveAt(place, kind as Message['kind'], control?.payload ?? payload, more, now)
  }
  switch (control?.kind) {
    case 'close':
      session.receive(link, 'close', control.payload, now)
      break
    case 'abort': {
      const { code, reason } = readEnd(control.payload)
      session.abortArrived(code, reason)
      break
    }
    case 'ping':
      session.pingArrived(link, control.payload, now)
      break
    case 'ack':
      session.ackArrived({ number: +control.payload, offset: 0 }, now)
      break
    default:
      session.fail(CloseCode.protocolError, `malformed ${kind || 'frame'}`, now)
  }
  return true
}

/** Writes the controls that the session has for this carrier. Acknowledgements stand in heads. */
export function writeControls(to: ByteWriter, session: Session, link: Link): void {
  for (let frame = session.pollControl(link, false); frame; frame = session.pollControl(link, false))
    writeRecord(to, frame.kind, encodeText(frame.payload))
}

/**
 * Writes what the session has for this carrier, up to about `budget` bytes in all; a message that is larger than
 * what is left is cut, and goes on in the next body. Returns whether there is more.
 */
export function writeMessages(to: ByteWriter, session: Session, link: Link, budget: number): boolean {
  // The rest of what a body may have is for controls.
  for (let room = maxRecords - 96, message: Message | undefined; room--; ) {
    message = session.peek(link)
    if (!message) return false
    const payload = payloadOf(message)
    const left = Math.max(budget - to.size, 0)
    const offset = link.sentOffset
    if (offset === 0 && payload.length <= left) {
      writeRecord(to, message.kind, payload)
      session.advance(link, payload.length, true)
    } else {
      // Where a body is begun anyway, a piece worth the trouble or nothing; a close is in one piece, and waits for room.
      if (left < (message.kind === 'close' ? payload.length : 64) && to.size > 64) return true
      const end =
        message.kind === 'close' ? payload.length : Math.min(payload.length, offset + Math.max(left, 64))
      const whole = end === payload.length
      writeRecord(to, message.kind, payload.subarray(offset, end), !whole)
      session.advance(link, end - offset, whole)
      if (!whole) return true
    }
  }
  return true
}
