/** Sections 3.4, 3.5 and 5: malformed bodies, bounds, and what is refused with a status. */
import { randomBytes } from 'node:crypto'
import { connect as overTcp } from 'node:net'
import { connect as overTls } from 'node:tls'
import { failedWith, hello } from '../guest.ts'
import { Answering, refused } from '../http.ts'
import type { Rule } from '../rule.ts'
import type { Trial } from '../trial.ts'
import { Deviation, equal, expect, show } from '../verdict.ts'
import { record, writeBody, writeHead, writeRecord } from '../wire.ts'

const [id, key] = [randomBytes(12), randomBytes(16)]
const head = writeHead({ id, key, ask: ['open'], serial: 1 })
const opening = Buffer.concat([head, writeRecord(hello())])

const malformed: Readonly<Record<string, Buffer>> = {
  'no body': Buffer.alloc(0),
  'another first byte': Buffer.concat([Buffer.from([0xe2]), opening.subarray(1)]),
  'a head cut short': head.subarray(0, 30),
  'a number cut short': Buffer.concat([head.subarray(0, -1), Buffer.from([0x80])]),
  'a number above 2^53 - 1': Buffer.concat([
    head.subarray(0, 30),
    Buffer.from('ffffffffffffffffff7f', 'hex'),
  ]),
  'a record without its length': Buffer.concat([opening, Buffer.from([1])]),
  'a record cut short': Buffer.concat([opening, Buffer.from([1, 5, 97])]),
  'a record of a kind that nobody knows': Buffer.concat([opening, Buffer.from([99, 0])]),
  'a record of kind 0': Buffer.concat([opening, Buffer.from([0, 0])]),
  'a hello of more than 16 KiB': Buffer.concat([
    head,
    writeRecord(record('hello', JSON.stringify({ protocols: [], more: 'a'.repeat(17_000) }))),
  ]),
}

export const refusals: readonly Rule[] = [
  ...Object.entries(malformed).map(
    ([what, body]): Rule => ({
      name: `malformed-body: ${what}`,
      section: '5',
      says: `A body with ${what} gets status 400, with the reason in the answer's body.`,
      async run(trial) {
        const reason = await refused(trial.guest().raw(body), 400)
        expect(reason !== '', 'a reason in the body', 'an empty body')
      },
    }),
  ),
  {
    name: 'body-of-4096-records',
    section: '3.4',
    says: 'A body may have 4,096 records and no more.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const many = Array.from({ length: 4096 }, () => record('text'))
      const { head: answered } = await guest.ask({}, many).whole()
      equal(answered.has, [4096, 0], 'has')
      await refused(guest.ask({ at: [4096, 0] }, [...many, record('text')]), [400, 413])
    },
  },
  {
    name: 'body-too-large',
    section: '5',
    says: 'A body of more than maxBody gets status 413.',
    async run(trial) {
      const guest = trial.guest()
      const { maxBody } = await guest.openHttp()
      const first = record('text', Buffer.alloc(maxBody - 100, 97), true)
      const answering = guest.ask({}, [first, record('text', Buffer.alloc(200, 97))])
      const { status } = await answering.begun()
      equal(status, 413, 'the status')
    },
  },
  {
    name: 'opening-too-large',
    section: '3.4, 5',
    says: 'A request that opens a session and has more than 32 KiB gets status 413.',
    async run(trial) {
      const body = [hello(), record('text', Buffer.alloc(33_000, 97))]
      const { status } = await trial
        .guest()
        .ask({ ask: ['open'] }, body)
        .begun()
      equal(status, 413, 'the status')
    },
  },
  {
    name: 'method',
    section: '5',
    says: 'A method that is neither POST nor GET gets status 405.',
    async run(trial) {
      const body = writeBody({ id, key, ask: ['open'], serial: 1 }, [hello()])
      for (const method of ['PUT', 'DELETE', 'PATCH'])
        await refused(new Answering(trial, trial.address('1'), { method, body }), 405)
    },
  },
  {
    name: 'get-without-ticket',
    section: '3.1, 5',
    says: 'GET with everwire=1 is no exchange and gets 400, 404 or 405.',
    async run(trial) {
      await refused(new Answering(trial, trial.address('1'), { method: 'GET' }), [400, 404, 405])
    },
  },
  {
    name: 'not-for-clients-in-bodies',
    section: '2.4',
    says: 'A record that a client does not say ends the session with 1002, or is malformed.',
    async run(trial) {
      for (const name of ['welcome', 'ticket', 'ack', 'take', 'hear', 'long', 'superseded'] as const) {
        const guest = trial.guest()
        await guest.openHttp()
        const { status, text } = await guest.ask({}, [record(name, name === 'superseded' ? '' : '1')]).ended()
        const ended = status === 200 && text.includes('1002,')
        expect(
          status === 400 || ended,
          `status 400 or an abort 1002 for a record ${name}`,
          show([status, text]),
        )
      }
    },
  },
  {
    name: 'close-in-pieces',
    section: '2.4, 3.4',
    says: 'A close in pieces ends the session with 1002.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      failedWith(1002, await guest.ask({}, [record('close', '1000,', true)]).whole())
    },
  },
  {
    name: 'text-not-utf8',
    section: '6',
    says: 'A text record that is not UTF-8 ends the session with 1007.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      failedWith(1007, await guest.ask({}, [record('text', Buffer.from([0xc3, 0x28]))]).whole())
    },
  },
  {
    name: 'requests-in-turn',
    section: '3.5',
    says: 'A request that comes over a connection before the answer to an earlier one was read waits; at most 8 do.',
    async run(trial) {
      const guest = trial.guest()
      await guest.openHttp()
      const held = requestBytes(trial, writeBody({ ...guest, ask: ['hold'], serial: 1, quiet: 400 }))
      const short = requestBytes(trial, writeBody({ ...guest, serial: 2 }))
      const both = await conversation(trial, Buffer.concat([held, short]), (text) => answersIn(text) >= 2)
      expect(both.answers === 2, 'two answers, one after the other', both.how)
      const next = requestBytes(trial, writeBody({ ...guest, ask: ['hold'], serial: 2, quiet: 10_000 }))
      const many = Buffer.concat([next, ...Array.from({ length: 10 }, () => short)])
      const ended = await conversation(trial, many, () => false)
      expect(ended.how === 'the end', 'the end of a connection on which 10 wait', ended.how)
    },
  },
]

function requestBytes(trial: Trial, body: Buffer): Buffer {
  const { pathname, search, host } = trial.address('1')
  const more = Object.entries(trial.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const start = `POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n${more.join('')}`
  return Buffer.concat([Buffer.from(`${start}Content-Length: ${body.length}\r\n\r\n`, 'latin1'), body])
}

function answersIn(text: string): number {
  return text.split('HTTP/1.1 200').length - 1
}

/** Writes these bytes to a connection, and reads until that is enough or the server ends it. */
function conversation(
  trial: Trial,
  bytes: Buffer,
  enough: (text: string) => boolean,
): Promise<{ answers: number; how: string }> {
  const { protocol, hostname, port } = trial.address('1')
  const host = hostname.replace(/^\[|\]$/g, '')
  const isTls = protocol === 'https:'
  return new Promise((resolve, reject) => {
    const socket = isTls
      ? overTls({ host, servername: host, port: Number(port || 443) })
      : overTcp({ host, port: Number(port || 80) })
    let text = ''
    const end = (how: string): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ answers: answersIn(text), how })
    }
    const timer = setTimeout(
      () => end(`${answersIn(text)} answers within ${trial.timeout / 1000} s`),
      trial.timeout,
    )
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (enough(text)) end('enough')
    })
    socket.on('close', () => end('the end'))
    socket.on('error', (error) => {
      clearTimeout(timer)
      if ('code' in error && error.code === 'ECONNRESET') end('the end')
      else reject(new Deviation('a connection', error.message))
    })
    trial.afterwards(() => socket.destroy())
    socket.write(bytes)
  })
}
