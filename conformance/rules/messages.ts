/** Sections 2.3 to 2.5: messages and controls on a WebSocket. */
import { failedWith } from '../guest.ts'
import type { Rule } from '../rule.ts'
import { equal, expect, show } from '../verdict.ts'
import { kinds } from '../wire.ts'

/** What no client says, or not so; each ends the session with 1002. */
const malformed: Readonly<Record<string, readonly [kind: number, payload: string]>> = {
  'a kind that nobody knows': [30, ''],
  'the kind of a text': [kinds.text, 'a'],
  'a welcome': [kinds.welcome, '{}'],
  'a hello': [kinds.hello, '{"protocols":[]}'],
  'a ticket': [kinds.ticket, 'abc'],
  'a long': [kinds.long, '5'],
  'a superseded': [kinds.superseded, ''],
  'an ack without a number': [kinds.ack, ''],
  'an ack that is no number': [kinds.ack, '1x'],
  'an ack of 16 digits': [kinds.ack, '0000000000000000'],
  'an ack of what was never sent': [kinds.ack, '1'],
  'a hear that is no number': [kinds.hear, '-1'],
  'a pause of 2': [kinds.pause, '2'],
  'a take while this carrier is in use and the payload is one number': [kinds.take, '1'],
  'a ping of 126 characters': [kinds.ping, 'a'.repeat(126)],
  'a ping with U+0100': [kinds.ping, '\u0100'],
  'a control of more than 1,024 bytes': [kinds.hear, '1'.repeat(1100)],
  'a close without a reason\u2019s comma': [kinds.close, '1000'],
  'a close with a code of three digits': [kinds.close, '999,'],
  'a close with 1006': [kinds.close, '1006,'],
  'a close with a reason of 124 bytes': [kinds.close, `1000,${'a'.repeat(124)}`],
}

export const messages: readonly Rule[] = [
  {
    name: 'echo-websocket',
    section: '2.3',
    says: 'Messages travel as they are: text as text, binary as binary, empty ones too, in order.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier
        .text('text \u00fc \u{1f600}')
        .binary(Buffer.from([0, 255]))
        .text('')
        .binary(Buffer.alloc(0))
      const wanted = ['text \u00fc \u{1f600}', Buffer.from([0, 255]), '', Buffer.alloc(0)]
      equal(await carrier.messages(4), wanted, 'the messages that came back')
    },
  },
  {
    name: 'escape',
    section: '2.3',
    says: 'A text that begins with U+0000 is sent with one more in front, and read without it.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.rawText('\0\0\x0bfive').rawText('\0\0').rawText('\0\0\0')
      equal(await carrier.messages(3), ['\0\x0bfive', '\0', '\0\0'], 'the texts that came back')
    },
  },
  {
    name: 'ack-soon',
    section: '2.3',
    says: 'One message is acknowledged after 250 ms.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.text('one')
      await carrier.acknowledged(1)
    },
  },
  {
    name: 'ack-after-64',
    section: '2.3',
    says: '64 messages are acknowledged at once.',
    async run(trial) {
      const carrier = await trial.guest().open()
      for (let i = 0; i < 64; i++) carrier.text(`${i}`)
      await carrier.acknowledged(64)
    },
  },
  {
    name: 'ack-never-early',
    section: '2.4',
    says: 'No more is acknowledged than has been said.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.text('one').text('two')
      const ack = await carrier.next('ack')
      expect(Number(ack) <= 2, 'an acknowledgement of at most 2', show(ack))
    },
  },
  {
    name: 'ping',
    section: '2.4',
    says: 'A ping is answered by a pong with the same payload, which may be empty and has at most 125 characters.',
    async run(trial) {
      const carrier = await trial.guest().open()
      for (const payload of ['', 'hello', '\u00ff\u0000'.repeat(62)]) {
        carrier.control('ping', payload)
        equal(await carrier.next('pong'), payload, 'the pong')
      }
    },
  },
  {
    name: 'hear',
    section: '2.4, 4.4',
    says: '`hear` is answered by an empty pong; from then on the server says something at least so often.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.control('hear', 300)
      equal(await carrier.next('pong'), '', 'the answer to `hear`')
      for (let i = 0; i < 3; i++) await carrier.next('ping')
      carrier.control('hear', 0)
      equal(await carrier.next('pong'), '', 'the answer to `hear` 0')
    },
  },
  {
    name: 'long',
    section: '2.4',
    says: 'A large message comes whole; a `long` before it says its size in bytes.',
    async run(trial) {
      const carrier = await trial.guest().open()
      const size = 300_000
      carrier.binary(Buffer.alloc(size, 5))
      equal(await carrier.message(), Buffer.alloc(size, 5), 'the message that came back')
      const long = carrier.seen('long')
      if (long !== undefined) equal(long, String(size), 'the number in `long`')
    },
  },
  {
    name: 'pause-websocket',
    section: '2.5',
    says: 'While the client has paused, the server sends no messages and no close, but everything else.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.control('pause', 1).text('one').control('close', '4000,later')
      await carrier.acknowledged(1)
      await carrier.settled()
      carrier.quiet('no message and no close during a pause')
      carrier.control('pause', 0)
      equal(await carrier.message(), 'one', 'the message after the pause')
      equal(await carrier.next('close'), '4000,later', 'the close after the pause')
    },
  },
  {
    name: 'pause-ends-with-websocket',
    section: '2.5',
    says: 'Each WebSocket begins without a pause.',
    async run(trial) {
      const guest = trial.guest()
      const first = await guest.open()
      first.control('pause', 1).text('one')
      await first.acknowledged(1)
      const second = await guest.resume()
      equal(await second.message(), 'one', 'the message on the next WebSocket')
    },
  },
  {
    name: 'not-utf8',
    section: '6',
    says: 'A text message that is not UTF-8 ends the WebSocket with 1007, and the session too.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      carrier.rawText(Buffer.from([0xc3, 0x28]))
      equal((await carrier.closed()).code, 1007, 'the code of the WebSocket')
      const answer = await guest
        .newEpoch()
        .ask({ ask: ['hold'], quiet: 300 })
        .whole()
      if (answer.head.status !== 2) failedWith(1007, answer)
    },
  },
  ...Object.entries(malformed).map(
    ([what, [kind, payload]]): Rule => ({
      name: `malformed-control: ${what}`,
      section: '2.4',
      says: `The session fails with 1002 (a close may say 1007) when a client says ${what}.`,
      async run(trial) {
        const carrier = await trial.guest().open()
        carrier.control(kind, payload)
        await carrier.failed(kind === kinds.close ? [1002, 1007] : 1002)
      },
    }),
  ),
]
