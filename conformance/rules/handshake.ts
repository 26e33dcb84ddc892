/** Sections 2.1 and 2.2: the handshake, and what the server does with its head. */
import { randomBytes } from 'node:crypto'
import { Answering } from '../http.ts'
import type { Rule } from '../rule.ts'
import { Carrier } from '../socket.ts'
import { equal, expect, show } from '../verdict.ts'

const upgrade = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
}

export const handshake: readonly Rule[] = [
  {
    name: 'handshake',
    section: '2.1',
    says: 'It selects everwire.1 where the application has not chosen, and begins with a welcome.',
    async run(trial) {
      const carrier = trial.guest().dial({ ask: ['open'] })
      equal(await carrier.opened(), 'everwire.1', 'the subprotocol')
      const { got, start, protocol } = await carrier.welcome()
      equal({ got, start, protocol }, { got: 0, start: 0, protocol: '' }, 'the welcome')
    },
  },
  {
    name: 'handshake-application',
    section: '2.1',
    says: "It selects the application's choice, and the welcome says the same; or everwire.1 without one.",
    async run(trial) {
      const carrier = trial.guest().dial({ ask: ['open'] }, ['chat', 'superchat'])
      const selected = await carrier.opened()
      const { protocol } = await carrier.welcome()
      const all = ['chat', 'superchat', 'everwire.1']
      expect(all.includes(selected), `one of ${all.join(', ')}`, show(selected))
      equal(protocol, selected === 'everwire.1' ? '' : selected, "the welcome's protocol")
    },
  },
  {
    name: 'handshake-ordinary',
    section: '2.1',
    says: 'A handshake without everwire.1. gets an ordinary WebSocket.',
    async run(trial) {
      const carrier = new Carrier(trial, [])
      equal(await carrier.opened(), '', 'the subprotocol')
      carrier.rawText('\0\x0bplain').binary(Buffer.from([1, 2]))
      // The text is a control to a client of the protocol; here it is only a text.
      equal(await carrier.next('ack'), 'plain', 'what follows U+0000 U+000B in the text that came back')
      equal(await carrier.message(), Buffer.from([1, 2]), 'the bytes that came back')
      carrier.quiet('nothing else')
    },
  },
  {
    name: 'handshake-malformed',
    section: '2.1, 5',
    says: 'A handshake whose head is malformed gets status 400.',
    async run(trial) {
      for (const head of ['AAAA', '4QAA', `${Buffer.alloc(60, 1).toString('base64url')}`]) {
        const carrier = new Carrier(trial, ['everwire.1', `everwire.1.${head}`])
        const how = await carrier.refused()
        expect(how.startsWith('status 400'), 'status 400', how)
      }
    },
  },
  {
    name: 'handshake-version',
    section: '5',
    says: 'A version of WebSocket that nobody knows gets status 426 and the versions 13, 8.',
    async run(trial) {
      const headers = { ...upgrade, 'Sec-WebSocket-Version': '7' }
      const url = new URL(trial.socketAddress)
      url.protocol = url.protocol.replace('ws', 'http')
      const { status, headers: answered } = await new Answering(trial, url, {
        method: 'GET',
        headers,
      }).ended()
      equal(status, 426, 'the status')
      equal(answered['sec-websocket-version'], '13, 8', 'Sec-WebSocket-Version')
    },
  },
  {
    name: 'unknown-websocket',
    section: '2.2',
    says: 'A session that is not known gets abort 1006, then the WebSocket is closed.',
    async run(trial) {
      const carrier = trial.guest().dial()
      await carrier.opened()
      await carrier.aborted(1006)
    },
  },
  {
    name: 'foreign-websocket',
    section: '2.2',
    says: 'Another key gets what an unknown session gets, with `open` and without.',
    async run(trial) {
      const stranger = trial.guest().dial()
      await stranger.opened()
      const wanted = { abort: await stranger.next('abort'), end: await stranger.closed() }
      const guest = trial.guest()
      const own = await guest.open()
      for (const ask of [[], ['open']] as const) {
        const thief = guest.thief()
        thief.epoch = 5
        const carrier = thief.dial({ ask })
        await carrier.opened()
        equal(
          { abort: await carrier.next('abort'), end: await carrier.closed() },
          wanted,
          'the same as unknown',
        )
      }
      own.text('still here')
      equal(await own.message(), 'still here', 'what the session itself still gets')
    },
  },
  {
    name: 'unknown-http',
    section: '3.3',
    says: 'A session that is not known gets status 2, and nothing follows.',
    async run(trial) {
      const { head, records } = await trial.guest().ask().whole()
      equal(head.status, 2, 'the status')
      equal(records.length, 0, 'records')
    },
  },
  {
    name: 'foreign-http',
    section: '2.2, 3.3',
    says: 'Another key gets, byte for byte, what an unknown session gets.',
    async run(trial) {
      const wanted = (await trial.guest().ask().whole()).body
      const guest = trial.guest()
      await guest.openHttp()
      equal((await guest.thief().ask().whole()).body, wanted, 'the same as unknown')
      const opening = await guest
        .thief()
        .ask({ ask: ['open'] })
        .whole()
      equal(opening.body, wanted, 'the same as unknown, with `open`')
      await guest.lives(0)
    },
  },
  {
    name: 'epoch-lower-websocket',
    section: '2.2',
    says: 'A WebSocket of a lower epoch than one already taken gets `superseded`, and is closed.',
    async run(trial) {
      const guest = trial.guest()
      guest.epoch = 3
      const current = await guest.open()
      guest.epoch = 2
      const late = guest.dial()
      await late.opened()
      await late.next('superseded')
      await late.closed()
      current.text('still the one')
      equal(await current.message(), 'still the one', 'what the newer carrier still gets')
    },
  },
  {
    name: 'epoch-lower-http',
    section: '3.5',
    says: 'An exchange of a lower epoch is answered with status 1, and nothing follows.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp({ epoch: 3 })
      const { head, records } = await guest.ask({ epoch: 2 }).whole()
      equal(head.status, 1, 'the status')
      equal(records.length, 0, 'records')
    },
  },
  {
    name: 'joins-at-once',
    section: '2.2',
    says: 'A WebSocket that joins is taken at once: a welcome, then the messages after `has`; the older is superseded.',
    async run(trial) {
      const guest = trial.guest()
      const first = await guest.open()
      first.text('one').text('two').text('three')
      await first.messages(3)
      const second = await guest.resume({ has: [1, 0] })
      equal([second.welcomed.got, second.welcomed.start], [3, 1], 'got and start of the welcome')
      equal(await second.messages(2), ['two', 'three'], 'the messages after `has`')
      await first.next('superseded')
      await first.closed()
      second.text('four')
      equal(await second.message(), 'four', 'the next message')
    },
  },
  {
    name: 'welcome-numbers',
    section: '2.4',
    says: 'A welcome names heartbeat, patience and maxBody, which is at least 256.',
    async run(trial) {
      const { welcomed } = await trial.guest().open()
      const { heartbeat, patience, maxBody } = welcomed
      expect(heartbeat > 0 && patience > 0, 'heartbeat and patience above 0', { heartbeat, patience })
      expect(maxBody >= 256, 'maxBody of at least 256', maxBody)
    },
  },
  {
    name: 'standby-websocket',
    section: '2.2, 2.3',
    says: 'A WebSocket on standby gets a welcome without `start` and nothing else; the session stays where it is.',
    async run(trial) {
      const guest = trial.guest()
      const first = await guest.open()
      const standby = await guest.resume({ ask: ['standby'] })
      equal(standby.welcomed.start, undefined, '`start` of the welcome')
      first.text('here')
      equal(await first.message(), 'here', 'what comes over the carrier in use')
      await first.settled()
      first.quiet('nothing else on the carrier in use')
      standby.control('hear', 0)
      equal(await standby.next('pong'), '', 'the answer to `hear` on standby')
      standby.quiet('nothing else on standby')
    },
  },
  {
    name: 'take',
    section: '2.3, 2.4',
    says: 'With `take` the standby is in use: messages after `got` come over it, and the older one is superseded.',
    async run(trial) {
      const guest = trial.guest()
      const first = await guest.open()
      first.text('one').text('two')
      await first.messages(2)
      const standby = await guest.resume({ ask: ['standby'] })
      equal(standby.welcomed.got, 2, 'got of the welcome')
      // It has one of the two messages, and repeats its own second one.
      standby.control('take', '1,1').text('two').text('three')
      equal(
        await standby.messages(2),
        ['two', 'three'],
        'the messages after `got`, and the answer to the new one',
      )
      await first.next('superseded')
      await first.closed()
      await standby.settled()
      standby.quiet('nothing else')
    },
  },
  {
    name: 'opens-once',
    section: '4.1',
    says: 'Carriers with one id and key that open together make one session, and the application sees one connection.',
    async run(trial) {
      const guest = trial.guest()
      const first = guest.dial({ ask: ['open'] })
      guest.epoch = 2
      const beside = guest.ask({ ask: ['open', 'standby'], at: [0, 0] }, [])
      await first.opened()
      await first.welcome()
      await beside.whole()
      first.text('one')
      equal(await first.message(), 'one', 'what comes back, once')
      guest.has = [1, 0]
      guest.said = 1
      await guest.lives(1)
    },
  },
]
