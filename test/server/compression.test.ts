// Compressed answers of the HTTP transports: smaller where that is possible, on their way as soon as they are written.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { createGunzip, gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Transport } from '../../client/base/types.ts'
import { WebSocket } from '../../client/node.ts'
import { allowCompression, sendWhole } from '../../server/carriers/compression.ts'
import { Ask, BodyReader, readAnswerHead } from '../../shared/exchange.ts'
import { open } from '../support/http.ts'
import { bodyOf, close, marked } from '../support/raw-client.ts'
import { messagesOf, openSession, serve } from '../support/serving.ts'

const dull = 'much the same, '.repeat(1000)
const acceptsGzip = { 'Accept-Encoding': 'gzip, deflate, br' }

/** What a whole answer says, unpacked if it was packed. */
function recordsOf({ headers, body }: { headers: IncomingMessage['headers']; body: Buffer }): string[] {
  const plain = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
  const reader = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
  return reader.push(plain).map(({ payload }) => Buffer.from(payload).toString())
}

describe('a whole answer', () => {
  test('is compressed for who takes gzip', async () => {
    const { client, socket } = await openSession({ httpCompression: true })
    socket.send(dull)
    const answer = await client.poll({}, { headers: acceptsGzip })
    expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip', 'cache-control': expect.any(String) })
    expect(Number(answer.headers['content-length'])).toBe(answer.body.length)
    expect(answer.body.length).toBeLessThan(dull.length / 10)
    expect(recordsOf(answer)).toEqual([dull])
  })

  test.each([
    ['is not asked for', undefined],
    ['is asked for in another way', 'br, zstd'],
    ['is forbidden', 'gzip;q=0, *;q=0'],
    ['is forbidden with a fraction', 'deflate, gzip; q=0.000'],
  ])('stays as it is when gzip %s', async (_how, accepted) => {
    const { client, socket } = await openSession({ httpCompression: true })
    socket.send(dull)
    const answer = await client.poll({}, accepted ? { headers: { 'Accept-Encoding': accepted } } : {})
    expect(answer.headers).not.toHaveProperty('content-encoding')
    expect(client.received).toEqual([dull])
  })

  test.each(['*', 'br;q=1.0, gzip;q=0.8', 'GZIP', 'gzip;q=0.5,br'])(
    'gzip is meant by: %s',
    async (accepted) => {
      const { client, socket } = await openSession({ httpCompression: true })
      socket.send(dull)
      const answer = await client.poll({}, { headers: { 'Accept-Encoding': accepted } })
      expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip' })
    },
  )

  test('stays as it is when the server does not compress, when it is short, and when that would not make it smaller', async () => {
    const off = await openSession()
    off.socket.send(dull)
    expect((await off.client.poll({}, { headers: acceptsGzip })).headers).not.toHaveProperty(
      'content-encoding',
    )
    const on = await openSession({ httpCompression: { threshold: 5000 } })
    on.socket.send('x'.repeat(4000))
    expect((await on.client.poll({}, { headers: acceptsGzip })).headers).not.toHaveProperty(
      'content-encoding',
    )
    on.socket.send(randomBytes(6000))
    expect((await on.client.poll({}, { headers: acceptsGzip })).headers).not.toHaveProperty(
      'content-encoding',
    )
    expect(on.client.received).toHaveLength(2)
  })

  test('whose client goes while it is being compressed is lost, and nothing else', async () => {
    const { client, socket, url } = await openSession({ httpCompression: true })
    socket.send(dull.repeat(10))
    const gone = new AbortController()
    const asked = client.poll({}, { headers: acceptsGzip, signal: gone.signal }).catch(() => 'gone')
    gone.abort()
    expect(await asked).toBe('gone')
    const again = await client.poll({ ask: Ask.hold | Ask.again }, { headers: acceptsGzip })
    expect(recordsOf(again)).toEqual([dull.repeat(10)])
    expect((await open(url)).statusCode).toBe(426)
  })
})

describe('a stream', () => {
  async function openPacked(sse: boolean) {
    const session = await openSession({ httpCompression: true })
    const { client, url } = session
    const options = { headers: acceptsGzip }
    const body = bodyOf(client.head({ serial: 1, ask: Ask.hold | Ask.stream }))
    const response = await (sse
      ? open(marked(url, await client.ticket()), options)
      : open(marked(url), { ...options, method: 'POST', body }))
    expect(response.headers['content-encoding']).toBe('gzip')
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    const unpacked = response.pipe(createGunzip())
    let seen = ''
    unpacked.on('data', (chunk: Buffer) => {
      seen += sse
        ? String(chunk).replace(/data: (.*)\n\n/g, (_, code) => String(Buffer.from(code, 'base64')))
        : chunk
    })
    const sees = async (what: string): Promise<void> => {
      while (!seen.includes(what)) await once(unpacked, 'data')
    }
    return { ...session, unpacked, sees, bytes: () => bytes }
  }

  test.each([
    ['streamed', false],
    ['as events', true],
  ])('%s: each piece is there at once, and all of it is small', async (_name, sse) => {
    const { client, socket, sees, bytes, unpacked } = await openPacked(sse)
    for (let i = 0; i < 50; i++) {
      socket.send(`{"kind":"position","index":${i},"text":"much the same as before"}`)
      await sees(`"index":${i},`)
    }
    expect(bytes()).toBeLessThan(50 * 60)
    const ended = once(unpacked, 'end')
    socket.close(4001, 'the end of it')
    await sees('the end of it')
    await client.send([close(4001, 'the end of it')], { has: { number: 51, offset: 0 } })
    await ended
  })

  test('that nobody reads holds the sender back, and what it held back comes when it is read', async () => {
    const { client, url, socket } = await openSession({ httpCompression: true })
    const body = bodyOf(client.head({ serial: 1, ask: Ask.hold | Ask.stream }))
    const response = await open(marked(url), { method: 'POST', headers: acceptsGzip, body })
    const total = 24 * 1024 * 1024
    for (let sent = 0; sent < total; sent += 65_536) socket.send(randomBytes(65_536))
    await expect.poll(() => socket.bufferedAmount).toBeLessThan(total)
    expect(socket.bufferedAmount).toBeGreaterThan(total / 4)
    let read = 0
    for await (const chunk of response.pipe(createGunzip())) {
      read += (chunk as Buffer).length
      if (read > total) break
    }
    expect(socket.bufferedAmount).toBeLessThan(65_536)
  })

  test('that is cut does not harm the server', async () => {
    const { client, url, socket, realtime } = await openSession({ httpCompression: true })
    const body = bodyOf(client.head({ serial: 1, ask: Ask.hold | Ask.stream }))
    const response = await open(marked(url), { method: 'POST', headers: acceptsGzip, body })
    await once(response, 'data')
    const cut = once(response, 'close')
    response.destroy()
    socket.send(dull)
    await cut
    const again = await client.poll({ ask: Ask.hold | Ask.again, serial: 2 }, { headers: acceptsGzip })
    expect(recordsOf(again)).toEqual([dull])
    expect(realtime.clients.size).toBe(1)
  })
})

const byHttp: readonly Transport[] = ['stream', 'sse', 'polling']

test.each(byHttp)('our client takes it: %s', async (transport) => {
  const { url, connections } = await serve({ httpCompression: { threshold: 0 } })
  const client = new WebSocket(url, [], {
    transports: [transport],
    headers: { 'Accept-Encoding': 'gzip' },
  })
  onTestFinished(() => client.close())
  client.binaryType = 'arraybuffer'
  const heard: unknown[] = []
  client.onmessage = ({ data }) => heard.push(data)
  const { socket } = await connections.next()
  const messages = messagesOf(socket)
  await expect.poll(() => client.readyState).toBe(1)
  for (let i = 0; i < 30; i++) {
    client.send(`${i}`)
    expect(await messages.next()).toBe(`${i}`)
    socket.send(`${dull}${i}`)
    socket.send(Buffer.alloc(70_000, i))
  }
  await expect.poll(() => heard.length).toBe(60)
  expect(heard.filter((_, i) => i % 2 === 0)).toEqual(Array.from({ length: 30 }, (_, i) => `${dull}${i}`))
  const sizes = heard.filter((_, i) => i % 2 === 1).map((data) => new Uint8Array(data as ArrayBuffer))
  expect(sizes.every((bytes, i) => bytes.length === 70_000 && bytes.every((byte) => byte === i))).toBe(true)
  const closed = once(socket, 'close')
  client.close(4002, 'enough')
  expect((await closed)[0]).toBe(4002)
})

test('answers that wait for zlib are few megabytes: more go out as they are', async () => {
  const request = Object.assign(new IncomingMessage(new Socket()), { headers: { 'accept-encoding': 'gzip' } })
  const body = Buffer.alloc(256 * 1024, dull)
  const responses = Array.from({ length: 100 }, () => new ServerResponse(request))
  for (const response of responses) {
    allowCompression(request, response, true)
    sendWhole(response, {}, body)
  }
  const waiting = responses.filter(({ headersSent }) => !headersSent).length * body.length
  expect(waiting).toBeGreaterThan(1024 * 1024)
  expect(waiting).toBeLessThanOrEqual(8 * 1024 * 1024)
  await expect.poll(() => responses.every(({ headersSent }) => headersSent)).toBe(true)
  // When zlib is done, answers are compressed again.
  const later = new ServerResponse(request)
  allowCompression(request, later, true)
  sendWhole(later, {}, body)
  expect(later.headersSent).toBe(false)
  await expect.poll(() => later.headersSent).toBe(true)
})
