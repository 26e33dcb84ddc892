/** Between a session and its carriers: hands over the pieces that arrived, and writes the frames that wait into bodies. */
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
 * Hands the session a message, a piece of one, or a control. The carriers handle their own controls before. A control that
 * neither knows, or whose payload is malformed, fails the session. `at` is the place of the next message in a body; it moves
 * behind this piece. Returns false if a message before it is missing: then the session has not taken it.
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

/** Writes the controls that wait for this carrier. The head of a body already has the acknowledgement. */
export function writeControls(to: ByteWriter, session: Session, link: Link): void {
  for (let frame = session.pollControl(link, false); frame; frame = session.pollControl(link, false))
    writeRecord(to, frame.kind, encodeText(frame.payload))
}

/**
 * Writes the messages that wait for this carrier, until the body has about `budget` bytes. It cuts a message that does not
 * fit; the next body has the rest. Returns whether there is more.
 */
export function writeMessages(to: ByteWriter, session: Session, link: Link, budget: number): boolean {
  // The other 96 records are for controls.
  for (let room = maxRecords - 96, message: Message | undefined; room--; ) {
    message = session.peek(link)
    if (!message) return false
    const payload = payloadOf(message)
    const left = Math.max(budget - to.size, 0)
    const offset = link.sentOffset
    // The smallest piece; a close is never cut.
    const least = message.kind === 'close' ? payload.length : 64
    const end = Math.min(payload.length, offset + Math.max(left, least))
    const whole = end === payload.length
    // A message without room here waits for the next body, unless this one is empty.
    if (left < end - offset && to.size > 64) return true
    writeRecord(to, message.kind, payload.subarray(offset, end), !whole)
    session.advance(link, end - offset, whole)
    if (!whole) return true
  }
  return true
}
