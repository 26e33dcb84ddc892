// Tokens that no client of ours would send.
import { expect, test } from 'vitest'
import { Ask, subprotocol } from '../../shared/exchange.ts'
import { maxToken } from '../../shared/limits.ts'
import { handshake, talk } from '../support/http.ts'
import { bodyOf, hello, type Piece, piece, RawClient, text } from '../support/raw-client.ts'
import { closeOf, openSession, serve } from '../support/serving.ts'

const token = (value: string | Uint8Array): Piece => piece('token', Buffer.from(value))
const tooLong = 'x'.repeat(maxToken + 1)

/** The subprotocol of a handshake that opens a session, with these records behind its head. */
const offerOf = (client: RawClient, records: readonly Piece[]): string =>
  `${subprotocol}.${bodyOf(client.head({ ask: Ask.open }), records).toString('base64url')}`

test.each<[string, readonly Piece[]]>([
  ['one that is too long', [token(tooLong)]],
  ['one that is not UTF-8', [token(Uint8Array.of(0xff))]],
  ['two', [token('a'), token('b')]],
  ['another record', [hello()]],
  ['one and a message', [token('a'), text('b')]],
])('a handshake with %s: 400, and nobody is asked', async (_, records) => {
  const { port, url, connections } = await serve({ verifyClient: () => expect.unreachable() })
  const client = new RawClient(url)
  const refused = await talk(
    port,
    handshake('/realtime', { 'Sec-WebSocket-Protocol': `${subprotocol}, ${offerOf(client, records)}` }),
  )
  expect(refused).toContain('400 Bad Request')
  expect(refused).toContain('Malformed everwire handshake')
  expect(connections.size).toBe(0)
})

test('a body with one that is too long: 400', async () => {
  const { url, connections } = await serve({ verifyClient: () => expect.unreachable() })
  const answer = await new RawClient(url).send([token(tooLong), hello()], { ask: Ask.open })
  expect([answer.status, connections.size]).toEqual([400, 0])
})

test('a body with a token and a hello: both count', async () => {
  const { url, connections } = await serve()
  await new RawClient(url).send([token('abc'), hello('chat')], { ask: Ask.open })
  const { socket, request } = await connections.next()
  expect([request.token, socket.protocol]).toEqual(['abc', 'chat'])
})

test('nobody asked: it is not told to anyone, and the session goes on', async () => {
  const { client, socket } = await openSession()
  await client.send([token('unasked'), text('after it')])
  client.renew()
  const webSocket = client.webSocket({ epoch: 2 })
  await webSocket.next('welcome')
  webSocket.say({ kind: 'token', payload: 'unasked' })
  webSocket.send('over a WebSocket')
  const messages: string[] = []
  socket.on('message', (data) => messages.push(String(data)))
  await expect.poll(() => messages).toContain('over a WebSocket')
})

test('an answer that is too long ends the session with 1002', async () => {
  const { url, connections } = await serve()
  const client = new RawClient(url)
  const webSocket = await client.openWebSocket()
  const { socket } = await connections.next()
  const closed = closeOf(socket)
  const asked = socket.askToken({ within: 0 })
  expect(await webSocket.next('token')).toEqual({ kind: 'token', payload: '' })
  webSocket.say({ kind: 'token', payload: tooLong })
  expect(await asked).toBeUndefined()
  expect(await closed).toEqual({ code: 1006, reason: 'malformed token' })
  expect(await webSocket.next('close')).toMatchObject({ code: 1002 })
})

test('the question is asked again where its answer was perhaps lost', async () => {
  const { client, socket } = await openSession()
  const asked = socket.askToken({ within: 0 })
  const kinds = async (ask = 0): Promise<string[]> =>
    (await client.send([], { ask })).records.map(({ kind }) => kind)
  expect(await kinds()).toEqual(['token'])
  expect(await kinds()).toEqual([])
  expect(await kinds(Ask.again)).toEqual(['token'])
  await client.send([token('abc')])
  expect(await asked).toBe('abc')
  expect(await kinds(Ask.again)).toEqual([])
})
