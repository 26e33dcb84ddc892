/**
 * What a class must do to stand wherever `WebSocket` stands: https://websockets.spec.whatwg.org/, case by case. The same
 * cases run on our class over each transport, on the browser's own class, and on the class of `ws`, in Node and in pages.
 */
import { closing } from './class/closing.ts'
import { construction } from './class/construction.ts'
import { events } from './class/events.ts'
import { type Case, type Outcome, runCase, type Subject } from './class/harness.ts'
import { face } from './class/interface.ts'
import { messages } from './class/messages.ts'
import { sending } from './class/sending.ts'

export type { Outcome, Report, Seen, Subject } from './class/harness.ts'

const cases: readonly Case[] = [construction, face, events, messages, sending, closing].flat()

export const caseNames: readonly string[] = cases.map(({ name }) => name)

/** `limit`: how long it may take, in ms. */
export function runNamed(name: string, subject: Subject, limit?: number): Promise<Outcome> {
  const found = cases.find((one) => one.name === name)
  if (!found) throw new Error(`No case '${name}'`)
  return runCase(found, subject, limit)
}
