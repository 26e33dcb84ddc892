/** Sections 3.1 to 3.4: exchanges over HTTP, their heads and records. */
import { failedWith, hello, type Message, text, welcomeOf } from '../guest.ts'
import type { Rule } from '../rule.ts'
import { equal, expect, show } from '../verdict.ts'
import { kinds, record } from '../wire.ts'

const words = (messages: readonly Message[]): string[] => messages.map(text)

export const exchanges: readonly Rule[] = [
  {
    name: 'answer',
    section: '3.1',
    says: 'An answer has status 200, application/octet-stream, no-store and no-transform, and begins with E1.',
    async run(trial) {
      const { headers, body } = await trial
        .guest()
        .ask({ ask: ['open'] }, [hello()])
        .whole()
      equal(headers['content-type'], 'application/octet-stream', 'Content-Type')
      equal(headers['cache-control'], 'no-store, no-transform', 'Cache-Control')
      equal(body[0], 0xe1, 'the first byte')
    },
  },
  {
    name: 'content-type-ignored',
    section: '3.1',
    says: "A request's content type is ignored.",
    async run(trial) {
      for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded']) {
        const answering = trial.guest().ask({ ask: ['open'] }, [hello()], { 'Content-Type': type })
        welcomeOf(await answering.whole())
      }
    },
  },
  {
    name: 'open-http',
    section: '2.4, 4.1',
    says: 'An exchange with `open` is answered with a welcome as its first record.',
    async run(trial) {
      const { got, protocol } = await trial.guest().openHttp()
      equal([got, protocol], [0, ''], 'got and protocol of the welcome')
    },
  },
  {
    name: 'open-again',
    section: '2.4, 4.1',
    says: 'Every exchange with `open` gets a welcome, and the session is made once.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.say(record('text', 'one'))
      await guest.receive(1)
      const again = welcomeOf(await guest.ask({ ask: ['open'] }, [hello()]).whole())
      equal(again.got, 1, 'got of the second welcome')
    },
  },
  {
    name: 'hello',
    section: '2.4',
    says: 'The welcome names one of the subprotocols of `hello`, or none.',
    async run(trial) {
      const answer = await trial
        .guest()
        .ask({ ask: ['open'] }, [hello('chat', 'superchat')])
        .whole()
      const { protocol } = welcomeOf(answer)
      expect(['', 'chat', 'superchat'].includes(protocol), 'chat, superchat or none', show(protocol))
    },
  },
  {
    name: 'json-members',
    section: '7',
    says: 'Unknown members of JSON are ignored.',
    async run(trial) {
      const more = record('hello', JSON.stringify({ protocols: [], later: { a: [1] } }))
      welcomeOf(
        await trial
          .guest()
          .ask({ ask: ['open'] }, [more])
          .whole(),
      )
    },
  },
  {
    name: 'echo-http',
    section: '3.4',
    says: 'Records bring text and binary messages in order, empty ones too.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const bytes = Buffer.from([0, 255])
      const said = [
        record('text', '\0\x0b \u00fc'),
        record('binary', bytes),
        record('text'),
        record('binary'),
      ]
      await guest.say(...said)
      const wanted = said.map(({ kind, data }) => ({ kind, data }))
      equal(await guest.receive(4), wanted, 'the messages that came back')
    },
  },
  {
    name: 'message-with-open',
    section: '3.1, 4.1',
    says: 'A request with `open` may bring messages behind its hello.',
    async run(trial) {
      const guest = trial.guest()
      const answer = await guest.ask({ ask: ['open'] }, [hello(), record('text', 'early')]).whole()
      welcomeOf(answer)
      guest.said = 1
      guest.take(answer)
      equal(words(await guest.receive(1)), ['early'], 'what came back')
    },
  },
  {
    name: 'ping-http',
    section: '2.4',
    says: 'A ping in a record is answered by a pong with the same payload.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const payload = Buffer.from('\u00ff\0a')
      const answering = guest.ask({}, [record('ping', payload)])
      const pong = await answering.record('pong')
      equal(Buffer.from(pong.data), payload, 'the pong')
    },
  },
  {
    name: 'pieces',
    section: '3.4',
    says: 'A message may be cut anywhere into records, also inside a character.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const bytes = Buffer.from('a\u00fcb\u{1f600}c')
      await guest.say(
        ...Array.from(bytes, (byte, i) => record('text', Buffer.from([byte]), i < bytes.length - 1)),
      )
      await guest.say(record('binary', 'x', true), record('binary', '', true), record('binary', 'y'))
      const [first, second] = await guest.receive(2)
      equal(first?.data.toString(), 'a\u00fcb\u{1f600}c', 'the text that came back')
      equal([second?.kind, second?.data.toString()], [kinds.binary, 'xy'], 'the binary message')
    },
  },
  {
    name: 'pieces-over-exchanges',
    section: '3.4',
    says: 'A message may be spread over exchanges; `has` says how far it has come.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const first = await guest.say(record('text', 'first, '), record('text', 'sec', true))
      equal(first.head.has, [1, 3], 'has after the first piece')
      const second = await guest.exchange({ at: [1, 3] }, [record('text', 'on', true)])
      equal(second.head.has, [1, 5], 'has after the second piece')
      const third = await guest.exchange({ at: [1, 5] }, [record('text', 'd')])
      equal(third.head.has, [2, 0], 'has after the last piece')
      equal(words(await guest.receive(2)), ['first, ', 'second'], 'the messages that came back')
    },
  },
  {
    name: 'pieces-repeated',
    section: '3.4',
    says: 'A piece whose place the server has had is skipped, as far as it has had it.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.exchange({ at: [0, 0] }, [record('text', 'abcd', true)])
      const again = await guest.exchange({ at: [0, 2] }, [record('text', 'cdef'), record('text', 'two')])
      equal(again.head.has, [2, 0], 'has')
      equal(words(await guest.receive(2)), ['abcdef', 'two'], 'the messages that came back')
    },
  },
  {
    name: 'repeated-messages',
    section: '1, 3.5',
    says: 'Messages that the server has had are skipped, whatever the serial is, and empty ones may stand for them.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const both = [record('text', 'one'), record('text', 'two')]
      await guest.exchange({ at: [0, 0] }, both)
      await guest.exchange({ at: [0, 0] }, both)
      const third = [record('binary'), record('text'), record('text', 'three')]
      const { head } = await guest.exchange({ at: [0, 0] }, third)
      equal(head.has, [3, 0], 'has')
      equal(words(await guest.receive(3)), ['one', 'two', 'three'], 'the messages that came back')
    },
  },
  {
    name: 'gap',
    section: '1, 3.4',
    says: 'What comes too early is dropped, and `has` says where to go on.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const early = await guest.exchange({ at: [1, 0] }, [record('text', 'two')])
      equal(early.head.has, [0, 0], 'has after a message too early')
      const piece = await guest.exchange({ at: [0, 2] }, [record('text', 'ne')])
      equal(piece.head.has, [0, 0], 'has after a piece too early')
      await guest.say(record('text', 'one'), record('text', 'two'))
      equal(words(await guest.receive(2)), ['one', 'two'], 'the messages that came back')
    },
  },
  {
    name: 'resume-at-offset',
    section: '1, 3.5',
    says: 'With `again` the server starts after `has`, also inside a message.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.say(record('text', 'abcdefgh'), record('text', 'two'))
      await guest.receive(2)
      const other = guest.newEpoch()
      other.has = [0, 3]
      const { head, records } = await other.ask({ ask: ['hold'], quiet: 500, has: [0, 3] }).whole()
      equal(head.at, [0, 3], 'at')
      const [rest, two] = records.filter(({ kind }) => kind <= kinds.close)
      equal(
        [rest, two].map((one) => one && Buffer.from(one.data).toString()),
        ['defgh', 'two'],
        'the records',
      )
    },
  },
  {
    name: 'large-http',
    section: '3.4',
    says: 'A large message comes back whole, in records of at most 1 MiB.',
    async run(trial) {
      const guest = trial.guest()
      const { maxBody } = await guest.openHttp()
      const piece = Buffer.alloc(Math.min(maxBody - 200, 150_000), 97)
      await guest.say(record('text', piece, true))
      await guest.exchange({ at: [0, piece.length] }, [record('text', piece)])
      guest.said = 1
      const [message] = await guest.receive(1)
      expect(guest.longest <= 1 << 20, 'records of at most 1 MiB', `one of ${guest.longest} bytes`)
      equal(message?.data.length, 2 * piece.length, 'the size of the message that came back')
    },
  },
  {
    name: 'poll-at-once',
    section: '3.2',
    says: 'A held exchange is answered as soon as there is something.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const held = guest.ask({ ask: ['hold'] })
      await guest.say(record('text', 'now'))
      if (guest.messages.length === 0) guest.take(await held.whole())
      else held.cut()
      equal(words(guest.messages), ['now'], 'what came back')
    },
  },
  {
    name: 'poll-quiet',
    section: '3.2, 4.4',
    says: 'A held exchange with nothing to bring is answered after `quiet`.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const { head, records } = await guest.ask({ ask: ['hold'], quiet: 250 }).whole()
      equal(head.status, 0, 'the status')
      const numbered = records.filter(({ kind }) => kind <= kinds.close)
      equal(numbered.length, 0, 'messages')
    },
  },
  {
    name: 'pause-http',
    section: '2.5',
    says: 'A request with a pause gets no messages; the next one without it gets them.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const paused = [record('pause', '1')]
      const first = await guest.ask({}, [...paused, record('text', 'one')]).whole()
      const second = await guest.ask({ ask: ['hold'], quiet: 250, at: [1, 0] }, paused).whole()
      const came = [...first.records, ...second.records].filter(({ kind }) => kind <= kinds.close)
      equal(came.length, 0, 'messages during the pause')
      guest.said = 1
      equal(words(await guest.receive(1)), ['one'], 'the message after the pause')
    },
  },
  {
    name: 'has-impossible',
    section: '3.5',
    says: 'A `has` that cannot be true ends the session with 1002.',
    async run(trial) {
      for (const has of [
        [2, 0],
        [1, 1],
        [0, 9],
      ] as const) {
        const guest = trial.guest()
        await guest.openHttp()
        await guest.say(record('text', 'one'))
        await guest.receive(1)
        failedWith(1002, await guest.ask({ has }).whole())
      }
    },
  },
  {
    name: 'has-as-acknowledgement',
    section: '1, 3.2',
    says: "`has` acknowledges: what it covers is not sent again, whatever the next carrier's `has` is.",
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.say(record('text', 'one'), record('text', 'two'))
      await guest.receive(2)
      await guest.ask().whole()
      const { head, records } = await guest
        .newEpoch()
        .ask({ ask: ['hold'], quiet: 250 })
        .whole()
      equal(head.status, 0, 'the status')
      equal(records.filter(({ kind }) => kind <= kinds.close).length, 0, 'messages')
    },
  },
]
