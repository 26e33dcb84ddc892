/** Sections 3.2 and 3.6: streamed answers and event streams. */

import { type Guest, hello, text } from '../guest.ts'
import { Answering, eventStream, refused } from '../http.ts'
import type { Rule } from '../rule.ts'
import { readWelcome } from '../socket.ts'
import { equal, expect, show } from '../verdict.ts'
import { record } from '../wire.ts'

export const streams: readonly Rule[] = [
  {
    name: 'stream',
    section: '3.2',
    says: "A stream's head comes at once, and records follow as they arise.",
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'] })
      equal(await stream.head(), { status: 0, has: [0, 0], at: [0, 0] }, 'the head')
      for (const word of ['one', 'two']) {
        const answer = await guest.ask({}, [record('text', word)]).whole()
        guest.said++
        equal(answer.records.filter(({ kind }) => kind <= 3).length, 0, 'messages beside a stream')
        const { data } = await stream.record('text')
        equal(Buffer.from(data).toString(), word, 'the record')
      }
    },
  },
  {
    name: 'stream-second-piece',
    section: '3.2',
    says: 'Soon after its head a stream brings a pong without payload.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'] })
      await stream.head()
      equal((await stream.record('pong')).data.length, 0, "the pong's length")
    },
  },
  {
    name: 'stream-open',
    section: '3.2, 4.1',
    says: 'A session may be opened by a stream: head, welcome, second piece.',
    async run(trial) {
      const guest = trial.guest()
      const stream = guest.ask({ ask: ['open', 'hold', 'stream'] }, [hello()])
      equal((await stream.head()).status, 0, 'the status')
      readWelcome(Buffer.from((await stream.record('welcome')).data).toString())
      await stream.record('pong')
      const answer = await guest.ask({}, [record('text', 'one')]).whole()
      equal(answer.head.has, [1, 0], 'has')
      equal(Buffer.from((await stream.record('text')).data).toString(), 'one', 'the record')
    },
  },
  {
    name: 'stream-life',
    section: '3.2',
    says: 'A stream with `life` ends after that time, and the next one goes on.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      await guest.ask({ ask: ['hold', 'stream'], life: 400 }).whole()
      const next = guest.ask({ ask: ['hold', 'stream'] })
      equal((await next.head()).status, 0, 'the status of the next one')
      await guest.say(record('text', 'one'))
      equal(Buffer.from((await next.record('text')).data).toString(), 'one', 'what the next one brings')
    },
  },
  {
    name: 'stream-quiet',
    section: '4.4',
    says: 'A stream brings a ping at least every `quiet`.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'], quiet: 300 })
      for (let i = 0; i < 3; i++) await stream.record('ping')
    },
  },
  {
    name: 'stream-at',
    section: '3.2',
    says: 'While a stream is open, `at` of a short answer is how far the stream has been given records.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'] })
      await stream.head()
      await guest.ask({}, [record('text', 'one'), record('text', 'two')]).whole()
      guest.said = 2
      await stream.record('text')
      await stream.record('text')
      equal((await guest.ask().whole()).head.at, [2, 0], 'at')
    },
  },
  {
    name: 'stream-repeated',
    section: '3.5',
    says: 'A stream ends at once when a request with the same serial comes, and when a newer one comes.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const first = guest.ask({ ask: ['hold', 'stream'], serial: 3 })
      await first.head()
      const repeated = guest.ask({ ask: ['hold', 'stream'], serial: 3 })
      await first.whole()
      const third = guest.ask({ ask: ['hold', 'stream'], serial: 4 })
      await repeated.whole()
      equal((await third.head()).status, 0, 'the status of the newest')
    },
  },
  {
    name: 'stream-superseded',
    section: '2.2, 3.3',
    says: 'A stream ends when a carrier of a higher epoch takes the session.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'] })
      await stream.head()
      const carrier = await guest.resume()
      await stream.whole()
      carrier.text('one')
      equal(await carrier.message(), 'one', 'what comes over the new carrier')
    },
  },
  {
    name: 'stream-standby',
    section: '3.5',
    says: 'With `standby` and `stream` the answer begins as a stream with its second piece, and is not ended for 5 s.',
    async run(trial) {
      const guest = trial.guest()
      const carrier = await guest.open()
      const begun = performance.now()
      const stream = guest.newEpoch().ask({ ask: ['standby', 'hold', 'stream'] })
      equal((await stream.head()).status, 0, 'the status')
      await stream.record('welcome')
      await stream.record('pong')
      carrier.text('one')
      equal(await carrier.message(), 'one', 'what comes over the carrier in use')
      await stream.whole(Math.max(trial.timeout, 9000))
      const lasted = performance.now() - begun
      expect(
        lasted > 4900,
        'a stream on standby that lasts for 5 s',
        `its end after ${Math.round(lasted)} ms`,
      )
    },
  },
  {
    name: 'stream-cut',
    section: '3.5',
    says: 'After a stream was cut, the next one with `again` starts after `has`, also inside a message.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const stream = guest.ask({ ask: ['hold', 'stream'] })
      await stream.head()
      await guest.ask({}, [record('text', 'one'), record('text', 'two')]).whole()
      guest.said = 2
      await stream.record('text')
      stream.cut()
      const next = guest.ask({ ask: ['hold', 'stream', 'again'], has: [1, 2] })
      equal((await next.head()).at, [1, 2], 'at')
      equal(Buffer.from((await next.record('text')).data).toString(), 'o', 'the rest of the message')
    },
  },
  {
    name: 'event-stream',
    section: '3.6',
    says: 'A ticket opens an event stream, whose data in base64 are the body of a streamed answer.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const events = eventStream(trial, trial.address(await ticketOf(guest)))
      const { status, headers } = await events.begun()
      equal(status, 200, 'the status')
      expect(String(headers['content-type']).startsWith('text/event-stream'), 'text/event-stream', headers)
      equal((await events.head()).status, 0, "the head's status")
      await events.record('pong')
      await guest.say(record('text', 'one \u00fc'))
      equal(Buffer.from((await events.record('text')).data).toString(), 'one \u00fc', 'the record')
    },
  },
  {
    name: 'ticket-once',
    section: '3.6',
    says: 'A ticket is good for one stream.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const url = trial.address(await ticketOf(guest))
      const first = eventStream(trial, url)
      await first.head()
      const second = eventStream(trial, url)
      const { status } = await second.begun()
      if (status === 200) expect((await second.head()).status !== 0, 'no second stream', 'a second stream')
      await guest.say(record('text', 'one'))
      equal(Buffer.from((await first.record('text')).data).toString(), 'one', 'what the first still brings')
    },
  },
  {
    name: 'ticket-after-cut',
    section: '3.6',
    says: 'A ticket can be used again if the stream that it began has been cut.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const url = trial.address(await ticketOf(guest))
      const first = eventStream(trial, url)
      await first.head()
      first.cut()
      // When the server has noticed the cut nobody can see from here: it is asked until it has.
      const until = performance.now() + trial.timeout
      let status = 0
      while (status !== 200 && performance.now() < until) {
        const again = eventStream(trial, url)
        status = (await again.begun()).status
        if (status === 200 && (await again.head()).status !== 0) status = 1
      }
      equal(status, 200, 'the status of the second stream')
    },
  },
  {
    name: 'ticket-unknown',
    section: '3.6',
    says: 'A ticket that nobody was given begins no stream.',
    async run(trial) {
      const stream = new Answering(trial, trial.address('AAAAAAAAAAAAAAAAAAAAAA'), { method: 'GET' })
      await refused(stream, [400, 401, 403, 404])
    },
  },
  {
    name: 'ticket-not-in-use',
    section: '3.2, 3.6',
    says: 'A short exchange may say `stream` without `hold`, and is answered at once.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp({ ask: ['open', 'stream'] })
      const answer = await guest.ask({ ask: ['stream'] }, [record('text', 'one')]).whole()
      guest.said = 1
      guest.take(answer)
      equal((await guest.receive(1)).map(text), ['one'], 'what came back')
    },
  },
]

async function ticketOf(guest: Guest): Promise<string> {
  const answering = guest.ask({ ask: ['ticket'] })
  const ticket = Buffer.from((await answering.record('ticket')).data).toString()
  expect(/^[\x21-\x7e]+$/.test(ticket), 'a ticket in ASCII', show(ticket))
  return ticket
}
