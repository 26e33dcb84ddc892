/** Sections 2.4, 4.5 and 6: how a session ends. */
import type { Rule } from '../rule.ts'
import { equal } from '../verdict.ts'
import { kinds, record } from '../wire.ts'

const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
const longReason = '\u00fc'.repeat(61)

export const closes: readonly Rule[] = [
  ...codes.map(
    (code): Rule => ({
      name: `close-${code}`,
      section: '2.4, 4.5, 6',
      says: `A close with ${code} is answered by a close with the same code and reason.`,
      async run(trial) {
        const guest = trial.guest()
        const carrier = await guest.open()
        carrier.text('before').control('close', `${code},bye`)
        equal(await carrier.message(), 'before', 'the message before the close')
        equal(await carrier.next('close'), `${code},bye`, 'the close')
        await carrier.acknowledged(2)
        carrier.control('ack', 2)
        await carrier.closed()
      },
    }),
  ),
  {
    name: 'close-without-code',
    section: '2.4',
    says: 'A close without a payload means 1005 and is answered by one without a payload.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.control('close')
      equal(await carrier.next('close'), '', 'the close')
    },
  },
  {
    name: 'close-long-reason',
    section: '2.4',
    says: 'A reason has up to 123 bytes of UTF-8, and may be empty.',
    async run(trial) {
      for (const payload of [`4000,${longReason}a`, '4001,']) {
        const carrier = await trial.guest().open()
        carrier.control('close', payload)
        equal(await carrier.next('close'), payload, 'the close')
      }
    },
  },
  {
    name: 'close-repeated',
    section: '4.5',
    says: 'A close is a message: it is repeated on the next carrier until it is acknowledged.',
    async run(trial) {
      const guest = trial.guest()
      const first = await guest.open()
      first.text('one').control('close', '4002,again')
      await first.next('close')
      first.cut()
      const second = await guest.resume({ has: [1, 0] })
      equal(second.welcomed.got, 2, 'got of the welcome')
      equal(await second.next('close'), '4002,again', 'the close on the next carrier')
    },
  },
  {
    name: 'close-http',
    section: '3.4, 4.5',
    says: 'A close in a record is answered by a close record with the same payload, after all messages before it.',
    async run(trial) {
      for (const payload of ['1000,bye', '4999,', '']) {
        const guest = trial.guest()
        await guest.openHttp()
        await guest.say(record('text', 'before'), record('close', payload))
        const [before, close] = await guest.receive(2)
        equal(before?.data.toString(), 'before', 'the message before the close')
        equal([close?.kind, close?.data.toString()], [kinds.close, payload], 'the close')
      }
    },
  },
  {
    name: 'after-close',
    section: '4.5',
    says: "What comes after the server's own close is acknowledged, and the application is not told of it.",
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      carrier.control('close', '4003,')
      await carrier.next('close')
      carrier.text('too late')
      await carrier.acknowledged(2)
      carrier.quiet('nothing after the close')
    },
  },
  {
    name: 'abort-websocket',
    section: '2.4',
    says: 'After an abort the session is over.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      carrier.control('abort', '1001,gone')
      await carrier.closed()
      await guest.unknown()
    },
  },
  {
    name: 'abort-leaving',
    section: '4.5',
    says: 'A short exchange of a new epoch with an abort ends the session of a WebSocket.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      await guest
        .newEpoch()
        .ask({}, [record('abort', '1001,')])
        .ended()
      await carrier.closed()
      await guest.unknown()
    },
  },
  ...['0999,', '1004,', '1005,', '1015,', '2999,', '5000,'].map(
    (payload): Rule => ({
      name: `close-not-allowed-${payload.slice(0, 4)}`,
      section: '2.4',
      says: `A close with ${payload.slice(0, 4)} ends the session with 1002.`,
      async run(trial) {
        const carrier = await trial.guest().open()
        carrier.control('close', payload)
        await carrier.failed(1002)
      },
    }),
  ),
]
