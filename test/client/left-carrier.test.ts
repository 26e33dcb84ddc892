// A carrier over HTTP that was left for another one: what is under way is heard to its end, and nothing more is asked.
import { expect, test } from 'vitest'
import { type CarrierHost, CarrierLink } from '../../client/base/carrier.ts'
import type { Answer } from '../../client/base/natives.ts'
import { Network } from '../../client/base/network-memory.ts'
import { HttpCarrier } from '../../client/carriers/http.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import { Ask, writeAnswerHead, writeRecord } from '../../shared/exchange.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { Session } from '../../shared/session.ts'
import { encodeText } from '../../shared/text.ts'

const zero = { number: 0, offset: 0 }

function body(...records: [kind: 'text' | 'welcome', text: string][]): Answer {
  const to = new ByteWriter()
  writeAnswerHead(to, { status: 0, has: zero, at: zero })
  for (const [kind, text] of records) writeRecord(to, kind, encodeText(text))
  const chunks = [to.whole()]
  return {
    status: 200,
    statusText: '',
    body: { getReader: () => ({ read: async () => ({ value: chunks.shift() }) }) },
  }
}

test('a carrier that was left takes what still comes, and asks for nothing more', async () => {
  const session = new Session(defaultLimits, 0)
  const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }
  const asked: number[] = []
  let answerHeld: ((answer: Answer) => void) | undefined
  let welcomed: typeof welcome | undefined
  const link = new CarrierLink('polling', 1, 0, false, 0)
  const host: CarrierHost = {
    session,
    pilot: {
      get welcome() {
        return welcomed
      },
      answerPatience: 10_000,
      paused: false,
      soon: 300,
      overdue: 1000,
      heard() {},
      answered() {},
      announced() {},
    },
    protocols: [],
    network: new Network('', undefined),
    head(_link, ask) {
      asked.push(ask)
      return new ByteWriter()
    },
    proven() {
      if (welcomed) return
      welcomed = welcome
      carrier.take()
    },
    attach: (attached, has) => void session.attach(attached, has, 0),
    cut: () => false,
    refused() {},
    passed() {},
    sound() {},
    settle() {},
    askToken() {},
    lost() {},
  }
  const carrier: HttpCarrier = new HttpCarrier(host, link, {
    post: () =>
      (asked.at(-1) as number) & Ask.hold
        ? new Promise((resolve) => {
            answerHeld = resolve
          })
        : Promise.resolve(body(['welcome', JSON.stringify(welcome)])),
    listen() {
      throw new Error('none')
    },
  })
  await expect.poll(() => answerHeld).toBeDefined()
  expect(asked).toEqual([0, Ask.hold])

  session.attach(new Link(2, 0), session.acknowledged, 0)
  answerHeld?.(body(['text', 'late']))
  await expect.poll(() => session.received.number).toBe(1)
  // It would ask in the turn in which the answer ends, or in the next.
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve))
  expect(asked.length).toBe(2)
  carrier.close()
})
