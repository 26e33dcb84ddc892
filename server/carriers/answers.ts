/** The answers that carry a session, as bytes and headers: whole ones, and what those that go on begin with. */
import type { ServerResponse } from 'node:http'
import { ByteWriter } from '../../shared/bytes.ts'
import { Status, writeAnswerHead, writeRecord } from '../../shared/exchange.ts'
import type { Position } from '../../shared/link.ts'
import { endPayload } from '../../shared/message.ts'
import { encodeText } from '../../shared/text.ts'
import { endOn, isOver, writeOn } from '../base/responses.ts'
import { type Answered, isLast } from '../base/unread.ts'
import { sendWhole, startStream } from './compression.ts'

/**
 * The second piece of a stream comes so long after the first: there are proxies that let one through and keep what
 * follows, and a client that does not see both does not rely on it.
 */
export const secondPiece = 100
/** How long a stream is kept open that only shows that streams get through. */
const standbyStream = 5_000

/** A record that only one answer carries. */
export interface Extra {
  readonly kind: 'welcome' | 'ticket' | 'pause' | 'abort'
  readonly payload: string
}

const answerHeaders = {
  'Content-Type': 'application/octet-stream',
  'Cache-Control': 'no-store, no-transform',
}
export const streamHeaders: Readonly<Record<string, string>> = { ...answerHeaders, 'X-Accel-Buffering': 'no' }
export const eventStreamHeaders: Readonly<Record<string, string>> = {
  ...streamHeaders,
  'Content-Type': 'text/event-stream',
}

/** For about so many bytes, in memory that Node has at hand: a typed array of its own would cost more than all that is written. */
export function writerFor(size: number): ByteWriter {
  return new ByteWriter(size, Buffer.allocUnsafe(size))
}

/** What every answer of a session begins with. */
export function startAnswer(size: number, has: Position, at: Position, extra: readonly Extra[]): ByteWriter {
  const to = writerFor(size)
  writeAnswerHead(to, { status: Status.ok, has, at })
  for (const { kind, payload } of extra) writeRecord(to, kind, encodeText(payload))
  return to
}

/** A record that means nothing but that it came. */
export function proof(): ByteWriter {
  const to = new ByteWriter(2)
  writeRecord(to, 'pong', nothing)
  return to
}

/** An answer without a session behind it. */
export function respond(response: ServerResponse, status: number): void {
  const to = new ByteWriter(16)
  writeAnswerHead(to, { status, has: zero, at: zero })
  finish(response, to)
}

/** The session was refused: its client is told how it ended. */
export function respondEnd(
  response: ServerResponse,
  { code, reason }: { code: number; reason: string },
): void {
  finish(response, startAnswer(64, zero, zero, [{ kind: 'abort', payload: endPayload(code, reason) }]))
}

/** `of`: where it counts while nobody reads it. */
export function finish(response: ServerResponse, to: ByteWriter, of?: Answered): void {
  if (isOver(response)) return
  // An HTTP/1.1 connection is kept without being told so; that saves a third of a small answer.
  if (!isLast(response)) response.removeHeader('Connection')
  sendWhole(response, answerHeaders, to.whole(), of)
}

const zero: Position = { number: 0, offset: 0 }
const nothing = new Uint8Array(0)

/**
 * Only to show that this way is open: the session stays where it is. A stream shows it by beginning, and is kept open
 * until a client that does not see it begin has noticed.
 */
export function respondStandby(
  response: ServerResponse,
  has: Position,
  extra: readonly Extra[],
  stream: boolean,
): void {
  const to = startAnswer(256, has, zero, extra)
  if (!stream) {
    finish(response, to)
    return
  }
  if (isOver(response)) return
  const out = startStream(response, streamHeaders)
  writeOn(out, to.whole())
  const second = setTimeout(() => writeOn(out, proof().whole()), secondPiece)
  const end = setTimeout(() => endOn(out, response), standbyStream)
  for (const timer of [second, end]) {
    timer.unref()
    response.on('close', () => clearTimeout(timer))
  }
}
