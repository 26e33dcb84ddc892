/** Section 3.5: exchanges that are lost, repeated and overtaken, and carriers beside each other. */
import { text } from '../guest.ts'
import type { Rule } from '../rule.ts'
import { equal } from '../verdict.ts'
import { kinds, record, type WireRecord } from '../wire.ts'

const numbered = (records: readonly WireRecord[]): number =>
  records.filter(({ kind }) => kind <= kinds.close).length

export const repeated: readonly Rule[] = [
  {
    name: 'short-repeated',
    section: '3.5',
    says: 'A short exchange repeated word for word is answered with a head and no messages, and takes nothing twice.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const request = { serial: 7, at: [0, 0] } as const
      await guest.ask(request, [record('text', 'one')]).whole()
      const { head, records } = await guest.ask(request, [record('text', 'one')]).whole()
      equal([head.status, head.has], [0, [1, 0]], 'status and has')
      equal(numbered(records), 0, 'messages in the answer')
      guest.said = 1
      await guest.receive(1)
      await guest.lives(1)
      equal(guest.messages.map(text), ['one'], 'the messages that came back')
    },
  },
  {
    name: 'short-overtaken',
    section: '3.5',
    says: 'A short exchange with a lower serial is answered with a head and no messages; its records are taken.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.exchange({ serial: 9, at: [0, 0] }, [record('text', 'one')])
      const late = await guest.ask({ serial: 8, at: [1, 0] }, [record('text', 'two')]).whole()
      equal([late.head.status, late.head.has], [0, [2, 0]], 'status and has')
      equal(numbered(late.records), 0, 'messages in the answer')
      guest.said = 2
      equal((await guest.receive(2)).map(text), ['one', 'two'], 'the messages that came back')
    },
  },
  {
    name: 'held-repeated',
    section: '3.5',
    says: 'A held exchange that is repeated frees the older answer with a head of status 0 alone; the next begins after `has`.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const older = guest.ask({ ask: ['hold'], serial: 5 })
      // The server has it once it has answered one that came later.
      await guest.ask().whole()
      const newer = guest.ask({ ask: ['hold'], serial: 5, quiet: 300 })
      const { head, records } = await older.whole()
      equal(head.status, 0, 'the status of the older one')
      equal(records.length, 0, 'records in the older one')
      await guest.ask({ quiet: 300 }, [record('text', 'one')]).whole()
      guest.said = 1
      const last = await newer.whole()
      equal(last.head.status, 0, 'the status of the newer one')
      const next = await guest.ask({ ask: ['hold'], serial: 6, quiet: 300 }).whole()
      equal(next.head.at, [0, 0], 'where the next one begins')
      guest.take(next)
      equal((await guest.receive(1)).map(text), ['one'], 'the message')
    },
  },
  {
    name: 'held-newer',
    section: '3.5',
    says: 'A newer held exchange ends the one held.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const older = guest.ask({ ask: ['hold'] })
      await guest.ask().whole()
      const newer = guest.ask({ ask: ['hold'] })
      const { head, records } = await older.whole()
      equal([head.status, records.length], [1, 0], 'status and records of the older one')
      const answer = await guest.ask({}, [record('text', 'one')]).whole()
      guest.said = 1
      guest.take(answer)
      if (guest.messages.length === 0) guest.take(await newer.whole())
      else newer.cut()
      equal(guest.messages.map(text), ['one'], 'what the newer one or the short one brings')
    },
  },
  {
    name: 'held-lower',
    section: '3.5',
    says: 'A held exchange with a lower serial is answered at once with status 1.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.ask({ ask: ['hold'], serial: 5, quiet: 250 }).whole()
      const { head, records } = await guest.ask({ ask: ['hold'], serial: 4 }).whole()
      equal(head.status, 1, 'the status')
      equal(records.length, 0, 'records')
    },
  },
  {
    name: 'again',
    section: '3.5',
    says: 'After an answer that was lost, the bit `again` makes the server start after `has`.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const answer = await guest.ask({}, [record('text', 'one'), record('text', 'two')]).whole()
      guest.said = 2
      // Nothing of this answer is taken, as if it had been lost.
      if (numbered(answer.records) < 2) await guest.ask({ ask: ['hold'], quiet: 500 }).whole()
      const { head, records } = await guest.ask({ ask: ['hold', 'again'], quiet: 500 }).whole()
      equal(head.at, [0, 0], 'at')
      guest.takeFrom(head.at, records)
      equal((await guest.receive(2)).map(text), ['one', 'two'], 'the messages')
    },
  },
  {
    name: 'http-takes-over-websocket',
    section: '3.5, 2.4',
    says: 'An exchange of a higher epoch takes the session from a WebSocket, which is superseded; nothing is lost.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      carrier.text('one').text('two')
      await carrier.messages(2)
      guest.newEpoch().said = 2
      guest.has = [1, 0]
      const answer = await guest.say(record('text', 'three'))
      equal(answer.head.has, [3, 0], 'has')
      await carrier.next('superseded')
      await carrier.closed()
      equal((await guest.receive(2)).map(text), ['two', 'three'], 'the messages after `has`')
    },
  },
  {
    name: 'websocket-takes-over-http',
    section: '2.2, 3.3',
    says: 'A WebSocket of a higher epoch takes the session from a held exchange, which ends with status 1.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.say(record('text', 'one'))
      await guest.receive(1)
      const held = guest.ask({ ask: ['hold'] })
      await guest.ask().whole()
      const carrier = await guest.resume({ has: [1, 0] })
      equal([carrier.welcomed.got, carrier.welcomed.start], [1, 1], 'got and start')
      const { head, records } = await held.whole()
      equal([head.status, records.length], [1, 0], 'status and records of the held exchange')
      carrier.text('two')
      equal(await carrier.message(), 'two', 'what comes over the WebSocket')
    },
  },
  {
    name: 'standby-http',
    section: '3.5',
    says: 'A first exchange with `standby` is answered with the welcome and nothing else; the session stays where it is.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      carrier.text('one')
      await carrier.message()
      const { head, records } = await guest
        .newEpoch()
        .ask({ ask: ['standby'] })
        .whole()
      equal(
        [head.status, records.map(({ kind }) => kind)],
        [0, [kinds.welcome]],
        'status and kinds of the records',
      )
      carrier.text('two')
      equal(await carrier.message(), 'two', 'what comes over the carrier in use')
      await carrier.settled()
      carrier.quiet('nothing else on the carrier in use')
      guest.said = 2
      guest.has = [1, 0]
      await guest.say(record('text', 'three'))
      await carrier.next('superseded')
      equal(
        (await guest.receive(2)).map(text),
        ['two', 'three'],
        'the messages of the exchange that takes it',
      )
    },
  },
  {
    name: 'resume-after-cut',
    section: '1, 4.2',
    says: 'After cuts in the middle nothing is lost, doubled or out of order, in either direction.',
    async run(trial) {
      const guest = trial.guest()
      let carrier = await guest.open()
      const came: string[] = []
      let said = 0
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 20; i++) carrier.text(`message ${said++}`)
        for (let i = 0; i < 3 + round; i++) came.push(String(await carrier.message()))
        carrier.cut()
        carrier = await guest.resume({ has: [came.length, 0] })
        // What the server does not have of it is said again.
        const { got } = carrier.welcomed
        for (let i = got; i < said; i++) carrier.text(`message ${i}`)
      }
      while (came.length < said) came.push(String(await carrier.message()))
      equal(
        came,
        Array.from({ length: said }, (_, i) => `message ${i}`),
        'the messages that came back',
      )
      await carrier.settled()
      carrier.quiet('nothing else')
    },
  },
]
