// The option `verifyResume`, as a client sees it that asks for what it is not to have.
import { once } from 'node:events'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { uncaught } from '../support/faults.ts'
import { Queue } from '../support/queue.ts'
import { piece, RawClient, text } from '../support/raw-client.ts'
import { closeOf, serve } from '../support/serving.ts'

const token = (value: string) => piece('token', Buffer.from(value))

/** Lets in whoever says 'yes'. */
async function open(verifyResume: boolean | number = 4401) {
  const asked: (string | undefined)[] = []
  const serving = await serve({
    verifyResume,
    verifyClient: ({ token }) => asked.push(token) > 0 && token === 'yes',
  })
  const client = new RawClient(serving.url)
  await client.send([token('yes')], { ask: Ask.open })
  const { socket } = await serving.connections.next()
  return { ...serving, client, socket, asked }
}

test('the exchanges of a carrier are one connection, also after it has stood by', async () => {
  const { client, asked } = await open()
  await client.send()
  expect(asked).toEqual(['yes'])
  client.renew()
  await client.send([token('yes')], { ask: Ask.standby })
  await client.send()
  await client.send()
  expect(asked).toEqual(['yes', 'yes'])
})

test('a connection without a token is refused, and whatever comes later hears the same end', async () => {
  const { client, socket, asked } = await open()
  socket.on('message', () => expect.unreachable())
  const closed = closeOf(socket)
  const webSocket = client.webSocket({ epoch: 2 })
  expect(await webSocket.next('abort')).toEqual({ kind: 'abort', code: 4401, reason: '401 Unauthorized' })
  expect(await closed).toEqual({ code: 4401, reason: '401 Unauthorized' })
  const late = await client.send([text('late')], { epoch: 3 })
  expect(late.records.map(({ kind, payload }) => `${kind} ${Buffer.from(payload)}`)).toEqual([
    'abort 4401,401 Unauthorized',
  ])
  // Not even with a good token, and nobody who has another key.
  const again = await client.send([token('yes')], { epoch: 4, ask: Ask.open })
  expect(again.records).toHaveLength(1)
  const stranger = await client.send([], { epoch: 5, key: Buffer.alloc(16) })
  expect([stranger.head?.status, stranger.records]).toEqual([2, []])
  expect(asked).toEqual(['yes', undefined])
})

test('a refusal by a promise of another realm is one', async () => {
  const serving = await serve({
    verifyResume: 4401,
    verifyClient: runInNewContext("async ({ token }) => token === 'yes'"),
  })
  const client = new RawClient(serving.url)
  await client.send([token('yes')], { ask: Ask.open })
  const { socket } = await serving.connections.next()
  const closed = closeOf(socket)
  client.renew()
  await client.send([token('no')])
  expect(await closed).toEqual({ code: 4401, reason: '401 Unauthorized' })
})

test('the carrier in use is told of the end', async () => {
  const { client } = await open()
  client.renew()
  const webSocket = client.webSocket({ epoch: 2 })
  await webSocket.next('abort')
  const other = await open()
  const held = other.client.poll()
  other.client.epoch = 2
  await other.client.send([token('no')])
  const { records } = await held
  expect(records.map(({ kind, payload }) => `${kind} ${Buffer.from(payload)}`)).toEqual([
    'abort 4401,401 Unauthorized',
  ])
})

test('many connections of a session at a time: each is decided about', async () => {
  const { client, asked } = await open()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      client.send([token('yes')], { ask: Ask.standby, epoch: 2 + index, serial: 1 }),
    ),
  )
  expect(answers.every(({ head }) => head?.status === 0)).toBe(true)
  expect(asked).toHaveLength(21)
})

test('an application that throws: 500, and the session goes on', async () => {
  let fails = false
  const serving = await serve({
    verifyResume: true,
    verifyClient: () => {
      if (fails) throw new Error('no database')
      return true
    },
  })
  const client = new RawClient(serving.url)
  await client.open()
  client.renew()
  fails = true
  const thrown = uncaught()
  expect((await client.send()).status).toBe(500)
  expect((await thrown).message).toBe('no database')
  fails = false
  expect((await client.send()).head?.status).toBe(0)
})

test('a connection that is to come again later counts as refused, on every transport', async () => {
  const { url, realtime } = await serve({
    verifyResume: true,
    verifyClient: ({ resuming }, done) => done(!resuming, 429, 'Later'),
  })
  const client = new RawClient(url)
  await client.open()
  const { socket } = client.webSocket({ epoch: 2 })
  const [, answer] = await once(socket, 'unexpected-response')
  expect([answer.statusCode, realtime.stats().refused]).toEqual([429, { 429: 1 }])
  expect((await client.send([], { epoch: 3 })).status).toBe(429)
  expect(realtime.stats().refused).toEqual({ 429: 2 })
})

test('a body counts while the application decides', async () => {
  const questions = new Queue<(ok: boolean) => void>()
  const { url, realtime, connections } = await serve({
    verifyResume: true,
    verifyClient: ({ resuming }, done) => {
      if (resuming) questions.push(done)
      else done(true)
    },
  })
  const client = new RawClient(url)
  await client.open()
  const { socket } = await connections.next()
  const told = new Promise<unknown>((resolve) => socket.once('message', resolve))
  const sent = client.send([text('x'.repeat(500_000))], { epoch: 2 })
  const decide = await questions.next()
  expect(realtime.memory).toBeGreaterThan(500_000)
  decide(true)
  expect((await sent).head?.status).toBe(0)
  await told
  expect(realtime.memory).toBe(0)
})

test('a reason that is too long is cut between characters', async () => {
  const serving = await serve({
    verifyResume: true,
    verifyClient: ({ resuming }, done) => done(!resuming, 403, '€'.repeat(100)),
  })
  const client = new RawClient(serving.url)
  await client.open()
  const webSocket = client.webSocket({ epoch: 2 })
  expect(await webSocket.next('abort')).toMatchObject({ code: 1008, reason: `403 ${'€'.repeat(39)}` })
})

test.each([4, '4401', 1006, null, {}])('verifyResume: %o throws', (value) => {
  expect(() => new WebSocketServer({ noServer: true, verifyResume: value as never })).toThrow(
    'The option "verifyResume" must be true, false or a close code, for example 4401',
  )
})
