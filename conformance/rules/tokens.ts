/** Sections 2.1 and 2.4: tokens. What an application does with one cannot be seen, but how a server reads one can. */
import { type Guest, hello, welcomeOf } from '../guest.ts'
import type { Rule } from '../rule.ts'
import { Carrier } from '../socket.ts'
import type { Trial } from '../trial.ts'
import { equal, expect, show } from '../verdict.ts'
import { record, type WireRecord, writeBody } from '../wire.ts'

const longest = 4096
const tokens = ['who I am', '', '\u00fc \u{1f600}', 'a'.repeat(longest)]

/** What is not a token in the place of one. */
const malformed: Readonly<Record<string, readonly WireRecord[]>> = {
  'a token of 4,097 bytes': [record('token', 'a'.repeat(longest + 1))],
  'a token that is not UTF-8': [record('token', Buffer.from([0xc3, 0x28]))],
}

/** A handshake with these records behind its head. */
function dial(trial: Trial, { id, key, epoch }: Guest, records: readonly WireRecord[]): Carrier {
  const head = writeBody({ ask: ['open'], id, key, epoch }, records).toString('base64url')
  return new Carrier(trial, ['everwire.1', `everwire.1.${head}`])
}

async function echoes(carrier: Carrier): Promise<void> {
  carrier.text('one')
  equal(await carrier.message(), 'one', 'the message that came back')
  await carrier.acknowledged(1)
}

export const tokenRules: readonly Rule[] = [
  {
    name: 'token-in-handshake',
    section: '2.1, 2.4',
    says: 'A handshake may bring a token of at most 4,096 bytes behind its head.',
    async run(trial) {
      for (const token of tokens) {
        const carrier = dial(trial, trial.guest(), [record('token', token)])
        await carrier.opened()
        await carrier.welcome()
        await echoes(carrier)
      }
    },
  },
  {
    name: 'token-in-bodies',
    section: '2.4',
    says: 'Any request may bring a token before its other records, and a token is not numbered.',
    async run(trial) {
      for (const token of tokens) {
        const guest = trial.guest()
        const said = record('token', token)
        welcomeOf(await guest.ask({ ask: ['open'] }, [said, hello()]).whole())
        await guest.say(said, record('text', 'one'))
        const { head } = await guest.exchange({ ask: ['hold'], quiet: 500 }, [said])
        equal(head.has, [1, 0], 'what the server has')
      }
    },
  },
  {
    name: 'token-later',
    section: '2.4',
    says: 'A client may say a token at any time on a WebSocket, and a token is not numbered.',
    async run(trial) {
      const carrier = await trial.guest().open()
      for (const token of tokens) carrier.control('token', token)
      await echoes(carrier)
    },
  },
  {
    name: 'token-too-long',
    section: '2.4',
    says: 'The session fails with 1002 when a client says a token of more than 4,096 bytes on a WebSocket.',
    async run(trial) {
      const carrier = await trial.guest().open()
      carrier.control('token', 'a'.repeat(longest + 1))
      await carrier.failed(1002)
    },
  },
  ...Object.entries({
    ...malformed,
    'another record than a token': [hello()],
    'two tokens': [record('token', 'a'), record('token', 'b')],
  }).map(
    ([what, records]): Rule => ({
      name: `malformed-handshake-token: ${what}`,
      section: '2.1, 5',
      says: `A handshake with ${what} behind its head gets status 400.`,
      async run(trial) {
        const how = await dial(trial, trial.guest(), records).refused()
        expect(how.startsWith('status 400'), 'status 400', how)
      },
    }),
  ),
  ...Object.entries(malformed).map(
    ([what, records]): Rule => ({
      name: `malformed-body-token: ${what}`,
      section: '2.4, 5',
      says: `A request with ${what} gets status 400, or ends the session with 1002.`,
      async run(trial) {
        const guest = trial.guest()
        await guest.openHttp()
        const { status, text } = await guest.ask({}, records).ended()
        expect(
          status === 400 || (status === 200 && text.includes('1002,')),
          'status 400, or an abort or a close with 1002',
          show([status, text]),
        )
      },
    }),
  ),
]
