/** Section 8: probes, which servers answer unless they are told not to. */

import { welcomeOf } from '../guest.ts'
import { type Answering, eventStream, refused } from '../http.ts'
import type { Rule } from '../rule.ts'
import type { Trial } from '../trial.ts'
import { equal, expect, LeftOut, show } from '../verdict.ts'
import { kinds, record, writeBody } from '../wire.ts'

const off = 'the server answers no probes'

/** Rules about probes do not apply to a server that treats a probe like an unknown session. */
async function needsProbes(trial: Trial): Promise<void> {
  const { head } = await trial
    .guest()
    .ask({ ask: ['probe'] })
    .whole()
  if (head.status === 2) throw new LeftOut(off)
}

export const probes: readonly Rule[] = [
  {
    name: 'probe-exchange',
    section: '8',
    says: "A probe is answered with a welcome, whose `got` is the size of the request's body, and the pong.",
    async run(trial) {
      await needsProbes(trial)
      const { id, key } = trial.guest()
      const filling = record('binary', Buffer.alloc(5000, 1))
      const body = writeBody({ id, key, ask: ['probe'], serial: 1 }, [record('ping', 'here'), filling])
      const answer = await trial.guest().raw(body).whole()
      equal([answer.head.status, answer.head.has], [0, [0, 0]], 'status and has')
      equal(welcomeOf(answer).got, body.length, 'got of the welcome')
      const [, pong] = answer.records
      equal(pong && [pong.kind, Buffer.from(pong.data).toString()], [kinds.pong, 'here'], 'the pong')
    },
  },
  {
    name: 'probe-makes-no-session',
    section: '8',
    says: 'A probe makes no session.',
    async run(trial) {
      await needsProbes(trial)
      const guest = trial.guest()
      await guest.ask({ ask: ['probe', 'open'] }).whole()
      await guest.unknown()
    },
  },
  {
    name: 'probe-held',
    section: '8',
    says: 'With `hold` a probe is answered when its time is over.',
    async run(trial) {
      await needsProbes(trial)
      const begun = performance.now()
      const answering = trial.guest().ask({ ask: ['probe', 'hold'], life: 600 }, [record('ping', 'a')])
      welcomeOf(await answering.whole())
      const took = performance.now() - begun
      expect(took >= 500, 'an answer after 600 ms', `after ${Math.round(took)} ms`)
    },
  },
  {
    name: 'probe-stream',
    section: '8',
    says: 'With `hold` and `stream` it comes at once, then a ping every 250 ms with the time, until the time is over.',
    async run(trial) {
      await needsProbes(trial)
      const stream = trial
        .guest()
        .ask({ ask: ['probe', 'hold', 'stream'], life: 2500 }, [record('ping', 'a')])
      await stream.head()
      await pingsOf(stream)
    },
  },
  {
    name: 'probe-event-stream',
    section: '8',
    says: 'GET with everwire=probe. and the time is the same as an event stream.',
    async run(trial) {
      await needsProbes(trial)
      const url = trial.address('probe.2500')
      const stream = eventStream(trial, url)
      const { status, headers } = await stream.begun()
      equal(status, 200, 'the status')
      expect(String(headers['content-type']).startsWith('text/event-stream'), 'text/event-stream', headers)
      await stream.head()
      await pingsOf(stream)
    },
  },
  {
    name: 'probe-websocket',
    section: '8',
    says: 'A probe over WebSocket gets a welcome and pongs, is counted by id, and is closed with 1000 after its time.',
    async run(trial) {
      await needsProbes(trial)
      const guest = trial.guest()
      const carrier = guest.dial({ ask: ['probe'], life: 2500 })
      await carrier.opened()
      await carrier.welcome()
      for (const payload of ['a', 'b']) {
        carrier.control('ping', payload)
        equal(await carrier.next('pong'), payload, 'the pong')
      }
      const { head } = await guest.ask({ ask: ['probe'] }).whole()
      equal(head.has[0], 2, 'the number of pings in `has` of a probe with the same id')
      equal((await carrier.closed()).code, 1000, 'the code')
    },
  },
  {
    name: 'probe-websocket-bounds',
    section: '8',
    says: 'Anything but a ping, or a message of more than 256 bytes, ends a probe with 1008 or 1009.',
    async run(trial) {
      await needsProbes(trial)
      for (const said of ['a message', `\0\x04${'a'.repeat(300)}`]) {
        const carrier = trial.guest().dial({ ask: ['probe'], life: 4000 })
        await carrier.opened()
        await carrier.welcome()
        carrier.rawText(said)
        const { code } = await carrier.closed()
        expect([1008, 1009].includes(code), '1008 or 1009', show(code))
      }
    },
  },
  {
    name: 'probes-per-address',
    section: '8',
    says: 'No more than 16 probes of one address are held at a time; then the answer is 503.',
    alone: true,
    async run(trial) {
      await needsProbes(trial)
      const held = Array.from({ length: 16 }, () =>
        trial.guest().ask({ ask: ['probe', 'hold', 'stream'], life: 5000 }),
      )
      for (const one of held) await one.head()
      await refused(trial.guest().ask({ ask: ['probe', 'hold', 'stream'], life: 5000 }), 503)
    },
  },
]

/** The welcome, then pings of which each says how late it is. */
async function pingsOf(stream: Answering): Promise<void> {
  await stream.record('welcome')
  let last = -1
  for (let i = 0; i < 4; i++) {
    const payload = Buffer.from((await stream.record('ping')).data).toString()
    expect(/^\d+$/.test(payload) && Number(payload) > last, `a number above ${last}`, show(payload))
    last = Number(payload)
  }
  await stream.whole()
}
