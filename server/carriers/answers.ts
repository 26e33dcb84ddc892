/** The answers that carry a session, as bytes and headers: whole answers, and the beginning of streams. */
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
 * How long after the first piece of a stream the second one comes: some proxies let only the first through at once, and a
 * client that does not see both does not rely on the stream.
 */
export const secondPiece = 100
/** How long a stream of a standby, which only shows that streams get through, is kept open. */
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

/** A writer for about so many bytes, in memory that Node has at hand: a new typed array would cost more than all the writing. */
export function writerFor(size: number): ByteWriter {
  return new ByteWriter(size, Buffer.allocUnsafe(size))
}

/** Begins an answer of a session: its head, and the records that only this answer has. */
export function startAnswer(size: number, has: Position, at: Position, extra: readonly Extra[]): ByteWriter {
  const to = writerFor(size)
  writeAnswerHead(to, { status: Status.ok, has, at })
  for (const { kind, payload } of extra) writeRecord(to, kind, encodeText(payload))
  return to
}

/** A pong without payload: it shows that the stream goes on, and has no other meaning. */
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

/** Gives a whole answer. `of`: the session that counts it while nobody reads it. */
export function finish(response: ServerResponse, to: ByteWriter, of?: Answered): void {
  if (isOver(response)) return
  // An HTTP/1.1 connection is kept without being told so; that saves a third of a small answer.
  if (!isLast(response)) response.removeHeader('Connection')
  sendWhole(response, answerHeaders, to.whole(), of)
}

const zero: Position = { number: 0, offset: 0 }
const nothing = new Uint8Array(0)

/**
 * Answers a standby: it only shows that this way is open, and the session stays where it is. A stream shows it by its first two
 * pieces, and is kept open until a client that does not get them has noticed.
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
