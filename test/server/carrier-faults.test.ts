// What comes twice, too late, out of order or from nobody's session: each once broke something.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { resolveOptions } from '../../server/admission/options.ts'
import { Tombstones } from '../../server/admission/tombstones.ts'
import { Memory } from '../../server/base/memory.ts'
import type { Socket } from '../../server/index.ts'
import { Topics } from '../../server/messages/topics.ts'
import { Reports } from '../../server/sockets/reports.ts'
import { SessionSocket } from '../../server/sockets/session-socket.ts'
import { Ask, Status } from '../../shared/exchange.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { fetchAll, headerLines } from '../support/http.ts'
import { type Answer, bodyOf, marked, piece, postRaw, RawClient, text } from '../support/raw-client.ts'
import { closeOf, messagesOf, type Serving, serve } from '../support/serving.ts'

interface Both extends Serving {
  readonly client: RawClient
  readonly socket: Socket
}

/** A session that was opened by a short exchange. */
async function connect(ask = 0, headers: Record<string, string> = {}): Promise<Both> {
  const serving = await serve()
  const client = new RawClient(serving.url, headers)
  await client.open([], { ask: Ask.open | ask })
  const { socket } = await serving.connections.next()
  return { ...serving, client, socket }
}

/** The messages in an answer, whether or not the client has them already. */
function texts({ records }: Answer): string[] {
  return records.filter(({ kind }) => kind === 'text').map(({ payload }) => Buffer.from(payload).toString())
}

const kindsOf = ({ records }: Answer) => records.map(({ kind }) => kind)

/** An exchange whose answer is not entered in the client's books: as if it got lost. */
function lose(client: RawClient, over: Parameters<RawClient['head']>[0]): Promise<Answer> {
  return postRaw(client.url, bodyOf(client.head(over)))
}

describe('repeated and overtaken exchanges', () => {
  test('a short one that is repeated is answered without messages: the held one brings them', async () => {
    const { client, socket } = await connect()
    socket.send('one')
    const serial = ++client.shortSerial
    expect(texts(await lose(client, { serial }))).toEqual(['one'])
    const again = await lose(client, { serial })
    expect([again.head?.status, kindsOf(again)]).toEqual([Status.ok, []])
    await client.poll()
    expect(client.received).toEqual(['one'])
  })

  test('a short one that is repeated ends an open stream: what was lost begins the next', async () => {
    const { client, socket } = await connect()
    socket.send('one')
    const serial = ++client.shortSerial
    expect(texts(await lose(client, { serial }))).toEqual(['one'])
    const stream = await client.stream()
    expect(kindsOf(await lose(client, { serial }))).toEqual([])
    expect(await stream.ended).toBe(true)
    await client.stream()
    expect(await client.arrived.next()).toBe('one')
  })

  test('a short one that is repeated is given its welcome and its ticket once more', async () => {
    const { client } = await connect()
    const again = await lose(client, { serial: client.shortSerial, ask: Ask.open })
    expect(kindsOf(again)).toEqual(['welcome'])
    const ticket = await client.ticket()
    const stream = await client.eventStream(ticket)
    for (const serial of [client.shortSerial, client.shortSerial - 1]) {
      const { records } = await lose(client, { serial, ask: Ask.ticket })
      expect(records.map(({ payload }) => Buffer.from(payload).toString())).toEqual([ticket])
    }
    const other = await client.eventStream(ticket)
    expect([stream.response.statusCode, other.response.statusCode]).toEqual([200, 200])
  })

  test('a short one that was overtaken is answered without messages, and nothing begins again', async () => {
    const { client, socket } = await connect()
    client.shortSerial = 5
    await client.send()
    socket.send('one')
    expect(kindsOf(await lose(client, { serial: 4 }))).toEqual([])
    const stream = await client.stream()
    expect(await client.arrived.next()).toBe('one')
    expect(kindsOf(await lose(client, { serial: 3 }))).toEqual([])
    socket.send('two')
    expect(await client.arrived.next()).toBe('two')
    expect(stream.head?.at).toEqual({ number: 0, offset: 0 })
  })

  test('what a repeated or overtaken one brings is taken all the same', async () => {
    const { client, socket } = await connect()
    const messages = messagesOf(socket)
    client.shortSerial = 5
    await client.send()
    for (const [serial, data] of [
      [5, 'a'],
      [3, 'b'],
    ] as const) {
      await client.send([text(data)], { serial })
      expect(await messages.next()).toBe(data)
    }
  })

  test('a held one that is repeated frees the older, which keeps the client on its carrier', async () => {
    const { client, socket } = await connect()
    const serial = ++client.heldSerial
    const both = [1, 2].map(() => lose(client, { serial, ask: Ask.hold }))
    const older = await Promise.race(both)
    expect([older.head?.status, kindsOf(older)]).toEqual([Status.ok, []])
    socket.send('one')
    expect((await Promise.all(both)).flatMap(texts)).toEqual(['one'])
    // Which of the two answers the client got is not known.
    await client.poll()
    expect(client.received).toEqual(['one'])
    // Now it is.
    socket.send('two')
    expect(texts(await client.poll())).toEqual(['two'])
  })

  test.each(['held', 'short'] as const)(
    'a %s one says that its client lacks what the answer before brought: it comes again',
    async (kind) => {
      const { client, socket } = await connect()
      socket.send('one')
      // As if somebody on the way had ended the answer after its head: to the client it looks whole.
      if (kind === 'held') await lose(client, { serial: ++client.heldSerial, ask: Ask.hold })
      else await lose(client, { serial: ++client.shortSerial })
      expect(texts(await (kind === 'held' ? client.poll() : client.send()))).toEqual(['one'])
      expect(client.received).toEqual(['one'])
      // Not once more: the client has it now.
      socket.send('two')
      expect(texts(await (kind === 'held' ? client.poll() : client.send()))).toEqual(['two'])
    },
  )

  test('a held one after a stream that was cut short unnoticed brings the rest of that', async () => {
    const { client, socket } = await connect()
    const changes = once(socket, 'transportchange')
    const serial = ++client.heldSerial
    const stream = lose(client, { serial, ask: Ask.hold | Ask.stream, life: 1_000 })
    await changes
    socket.send('one')
    expect(texts(await stream)).toEqual(['one'])
    expect(texts(await client.poll())).toEqual(['one'])
  })

  test('what was overtaken stays so when the carrier has been lost in between', async () => {
    const { client, socket } = await connect()
    client.shortSerial = 5
    await client.send()
    const cut = once(socket, 'transportchange')
    const stream = await client.stream()
    expect(await cut).toEqual(['stream'])
    const lost = once(socket, 'transportchange')
    await stream.cut()
    expect(await lost).toEqual([null])
    socket.send('one')
    expect(kindsOf(await lose(client, { serial: 4 }))).toEqual([])
    expect(socket.transport).toBe('stream')
    await client.send()
    expect(client.received).toEqual(['one'])
  })

  test('a ticket opens its stream again after that was cut', async () => {
    const { client, socket } = await connect()
    const ticket = await client.ticket()
    const stream = await client.eventStream(ticket)
    const lost = once(socket, 'transportchange')
    await stream.cut()
    expect(await lost).toEqual([null])
    socket.send('one')
    await client.eventStream(ticket)
    expect(await client.arrived.next()).toBe('one')
    expect(socket.transport).toBe('sse')
  })
})

describe('welcomes', () => {
  test('a held exchange that opens gets its welcome', async () => {
    const { url } = await serve()
    const polling = new RawClient(url)
    expect(kindsOf(await polling.poll({ ask: Ask.open | Ask.hold }))).toEqual(['welcome'])
    const streaming = new RawClient(url)
    const stream = await streaming.stream({ ask: Ask.open | Ask.hold | Ask.stream })
    expect((await stream.records.next()).kind).toBe('welcome')
  })

  test('a stream that stands by begins, and ends after 5 seconds', async () => {
    const { client, socket } = await connect()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    client.renew()
    const stream = await client.stream({ ask: Ask.standby | Ask.hold | Ask.stream })
    await stream.next('welcome')
    expect(stream.head).toMatchObject({ status: Status.ok })
    let ended: boolean | undefined
    const end = stream.ended.then((whole) => {
      ended = whole
    })
    await client.send([], { ask: Ask.standby | Ask.stream })
    expect([ended, socket.transport]).toEqual([undefined, 'polling'])
    vi.advanceTimersByTime(5000)
    await end
    expect(ended).toBe(true)
  })

  test.each([
    [0, 'polling'],
    [Ask.stream, 'stream'],
    [Ask.ticket, 'sse'],
  ])('what a first exchange with the bits %i says of the transport', async (ask, transport) => {
    expect((await connect(ask)).socket.transport).toBe(transport)
  })

  test('a client that did not say that it streams is known once it does', async () => {
    const { client, socket } = await connect()
    const changes: unknown[] = []
    socket.on('transportchange', (transport) => changes.push(transport))
    await client.stream()
    await client.send([], { ask: Ask.stream })
    await client.ticket()
    expect([socket.transport, changes]).toEqual(['sse', ['stream', 'sse']])
  })
})

describe('sessions that have ended', () => {
  test('are not opened again by what comes late', async () => {
    const { client, socket, connections } = await connect()
    const ended = closeOf(socket)
    await client.send([piece('abort', Buffer.from('1000,'))])
    await ended
    expect((await client.open()).head?.status).toBe(Status.unknown)
    const { code } = await client.webSocket({ ask: Ask.open }).next('abort')
    expect([code, connections.size]).toEqual([1006, 0])
  })

  test('are remembered for long enough, and not for ever', () => {
    const ended = new Tombstones()
    ended.add('early', 100, 1000)
    ended.add('first', 100, 1099)
    ended.add('second', 100, 1100)
    expect(['early', 'first', 'second'].map((id) => ended.has(id))).toEqual([true, true, true])
    ended.add('third', 100, 1200)
    expect(['first', 'second', 'third'].map((id) => ended.has(id))).toEqual([false, true, true])
    for (let i = 0; i < 200_000; i++) ended.add(String(i), 100, 1200)
    expect(ended.size).toBeLessThanOrEqual(100_000)
    expect(ended.has('199999')).toBe(true)
  })
})

describe('carriers', () => {
  test('a dead one is given up although the application has paused', () => {
    const limits = { ...defaultLimits, silence: 1000, grace: 100 }
    const options = resolveOptions({ noServer: true })
    const memory = new Memory(options, () => [])
    const none = () => {}
    const home = {
      ended: none,
      forgotten: none,
      handedOver: none,
      seen: none,
      timeLeft: () => 0,
      options: () => options,
      memory,
      reports: new Reports({ stats: () => expect.fail('nobody asks') }),
    }
    const socket = new SessionSocket('id', '', limits, new Topics(), home)
    const end = vi.fn()
    const carrier = {
      link: new Link(1, 0),
      transport: 'websocket' as const,
      bufferedAmount: 0,
      unreadBytes: 0,
      partialBytes: 0,
      progressed: false,
      flush: () => {},
      end,
      pause: () => {},
      resume: () => {},
    }
    expect(socket.take(carrier, { number: 0, offset: 0 })).toBe('attached')
    socket.announce()
    socket.pause()
    const later = performance.now() + 5000
    socket.wake(later)
    socket.wake(later + 100)
    expect(end.mock.calls).toEqual([['dead']])
    expect(socket.transport).toBeNull()
  })

  test.each([
    ['has less than it said', { got: 1, start: 0 }],
    ['says more than was heard', { got: 2, start: 1 }],
  ])('a WebSocket is not taken by a client that %s', async (_what, take) => {
    const { client, socket } = await connect()
    socket.send('one')
    socket.send('two')
    await client.send()
    await client.send()
    client.renew()
    const webSocket = client.webSocket({ ask: Ask.standby })
    await webSocket.next('welcome')
    const ended = once(socket, 'transportchange')
    webSocket.say({ kind: 'take', ...take })
    expect(await webSocket.next('abort')).toMatchObject({ code: 1006 })
    expect(await ended).toEqual(['websocket'])
    expect((await webSocket.closed).code).toBe(1000)
    expect(socket.transport).toBeNull()
  })
})

test('only pages of other origins cost headers', async () => {
  const { url, port } = await serve({ origins: '*' })
  const seen = async (origin?: string) => {
    const answer = await fetchAll(marked(url), { method: 'POST', headers: origin ? { Origin: origin } : {} })
    expect(answer.status).toBe(400)
    return ['Vary', 'Access-Control-Allow-Origin'].flatMap((name) => headerLines(answer, name))
  }
  expect(await seen()).toEqual([])
  expect(await seen(`http://127.0.0.1:${port}`)).toEqual([])
  expect(await seen('https://a.example')).toEqual(['Origin', 'https://a.example'])
})

test('an answer takes as much memory as it has bytes, or a little more', async () => {
  const { client, socket } = await connect()
  const end = vi.spyOn(ServerResponse.prototype, 'end')
  onTestFinished(() => end.mockRestore())
  await client.send()
  const data = 'x'.repeat(5000)
  socket.send(data)
  await client.poll()
  expect(client.received).toEqual([data])
  // Small ones share the memory that Node has at hand.
  const shared = Buffer.allocUnsafe(1).buffer.byteLength
  const sizes = end.mock.calls.map(([body]) => {
    const { buffer, byteLength } = body as unknown as Uint8Array
    return buffer.byteLength === shared ? byteLength : buffer.byteLength
  })
  expect(sizes).toHaveLength(2)
  expect(sizes[0]).toBeLessThanOrEqual(64)
  expect(sizes[1]).toBeGreaterThanOrEqual(5000)
  expect(sizes[1]).toBeLessThanOrEqual(5064)
})
