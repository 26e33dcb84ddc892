// What HTTP carriers do with requests that are lost, repeated or overtaken, and with those that are held.
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Ask, Status } from '../../shared/exchange.ts'
import { fetchAll } from '../support/http.ts'
import { type Answer, binary, bodyOf, marked, pong, postRaw, text } from '../support/raw-client.ts'
import { messagesOf, openSession } from '../support/serving.ts'

/** Whether the promise has been settled by the time that another exchange has gone to and fro. */
async function isSettled(promise: Promise<unknown>, url: string): Promise<boolean> {
  let settled = false
  promise.then(
    () => {
      settled = true
    },
    () => {},
  )
  await fetchAll(url)
  return settled
}

describe('lost, repeated, overtaken', () => {
  test('messages are taken by their places, whatever comes first and how often', async () => {
    const { client, socket } = await openSession()
    const messages = messagesOf(socket)
    const bodies = ['one', 'two', 'three'].map((data, i) =>
      bodyOf(client.head({ serial: i + 2, at: { number: i, offset: 0 } }), [text(data)]),
    )
    const early = await client.post(bodies[1] as Buffer)
    expect(early.head?.has).toEqual({ number: 0, offset: 0 })
    for (const i of [0, 0, 1, 0, 2, 1, 2]) await client.post(bodies[i] as Buffer)
    expect([await messages.next(), await messages.next(), await messages.next()]).toEqual([
      'one',
      'two',
      'three',
    ])
    expect(messages.size).toBe(0)
    expect(client.at).toEqual({ number: 3, offset: 0 })
  })

  test('pieces of any size, repeated and overlapping', async () => {
    const { client, socket } = await openSession()
    const messages = messagesOf(socket)
    const data = '0123456789'
    const piecesOf: [number, number, boolean][] = [
      [0, 4, true],
      [0, 4, true],
      [6, 10, false],
      [2, 6, true],
      [0, 3, true],
      [5, 5, true],
      [3, 10, false],
      [6, 10, false],
    ]
    const places: (number | string)[] = []
    for (const [from, to, more] of piecesOf) {
      await client.send([text(data.slice(from, to), more)], { at: { number: 0, offset: from } })
      places.push(client.at.number > 0 ? 'whole' : client.at.offset)
    }
    expect(places).toEqual([4, 4, 4, 6, 6, 6, 'whole', 'whole'])
    expect(await messages.next()).toBe(data)
    await client.send([binary(Buffer.alloc(0)), text('next')])
    expect([await messages.next(), await messages.next()]).toEqual([Buffer.alloc(0), 'next'])
    expect(messages.size).toBe(0)
  })

  test('an answer that was lost is given again', async () => {
    const { client, socket } = await openSession()
    socket.send('one')
    const { has } = client
    await client.poll()
    // As if it had not come: what it says it has is what counts.
    client.has = has
    client.received.length = 0
    socket.send('two')
    const answer = await client.poll({ ask: Ask.hold | Ask.again })
    expect(answer.head?.at).toEqual({ number: 0, offset: 0 })
    expect(client.received).toEqual(['one', 'two'])
  })

  test('a short exchange that was lost is given again', async () => {
    const { client, socket } = await openSession()
    socket.on('message', (data) => socket.send(`echo ${data}`))
    const { has } = client
    await client.send([text('one')])
    client.has = has
    client.received.length = 0
    await client.send([], { ask: Ask.again })
    expect(client.received).toEqual(['echo one'])
  })

  test('a request repeated word for word does not lose what its first answer brought', async () => {
    const { client, socket } = await openSession()
    const messages = messagesOf(socket)
    const body = bodyOf(client.head({ serial: 2 }), [text('from the client')])
    socket.send('from the server')
    // Nobody read that one.
    await postRaw(client.url, body)
    const answer = await client.post(body)
    expect(answer.head?.status).toBe(Status.ok)
    if (client.received.length === 0) await client.poll()
    expect(client.received).toEqual(['from the server'])
    expect(await messages.next()).toBe('from the client')
    expect(messages.size).toBe(0)
  })

  test('a held exchange gives way to a newer one', async () => {
    const { client, socket, url } = await openSession()
    const older = client.poll()
    expect(await isSettled(older, url)).toBe(false)
    const newer = client.poll()
    expect((await older).head?.status).toBe(Status.superseded)
    socket.send('for the newer')
    await newer
    expect(client.received).toEqual(['for the newer'])
    const late = await client.poll({ serial: 1 })
    expect(late.head?.status).toBe(Status.superseded)
  })

  test('a held exchange repeated word for word: the newer is held, the older answered, nothing lost', async () => {
    const { client, socket, url } = await openSession()
    const body = bodyOf(client.head({ ask: Ask.hold, serial: 1 }))
    client.heldSerial = 1
    const older = client.post(body)
    expect(await isSettled(older, url)).toBe(false)
    const newer = postRaw(client.url, body)
    expect((await older).head?.status).toBe(Status.ok)
    socket.send('for somebody')
    // Which of both the client is given is not known: this one was not.
    await newer
    const next = await client.poll()
    expect(next.head?.at).toEqual({ number: 0, offset: 0 })
    expect(client.received).toEqual(['for somebody'])
  })

  test('a held exchange that was cut', async () => {
    const { client, socket } = await openSession()
    const changes: unknown[] = []
    const lost = new Promise<void>((resolve) => {
      socket.on('transportchange', (transport) => {
        changes.push(transport)
        if (transport === null) resolve()
      })
    })
    const cut = new AbortController()
    const held = client.poll({}, { signal: cut.signal }).catch(() => 'cut')
    await client.send()
    cut.abort()
    expect(await held).toBe('cut')
    await lost
    socket.send('meanwhile')
    await client.poll({ ask: Ask.hold | Ask.again })
    expect(client.received).toEqual(['meanwhile'])
    expect(changes).toEqual([null, 'polling'])
  })

  test('an exchange of an older epoch is told so', async () => {
    const { client, socket } = await openSession()
    client.renew()
    await client.send([text('newer')])
    for (const answer of [
      await client.send([text('older')], { epoch: 1 }),
      await client.poll({ epoch: 1 }),
      await (await client.stream({ epoch: 1 })).whole(),
    ]) {
      expect([answer.status, answer.body.toString('hex')]).toEqual([200, 'e10100000000'])
    }
    expect(socket.readyState).toBe(1)
  })
})

describe('held', () => {
  test('until there is something', async () => {
    const { client, socket, url } = await openSession()
    const held = client.poll()
    expect(await isSettled(held, url)).toBe(false)
    socket.send('something')
    expect((await held).head?.at).toEqual({ number: 0, offset: 0 })
    expect(client.received).toEqual(['something'])
  })

  test('at the latest until the heartbeat', async () => {
    const { client, socket } = await openSession({ heartbeat: 100 })
    const pongs = new Promise((resolve) => socket.once('pong', resolve))
    const { records } = await client.poll()
    expect(records.map(({ kind }) => kind)).toEqual(['ping'])
    await client.send([pong()])
    await pongs
  })

  test('a stream says in its head where it begins, and goes on', async () => {
    const { client, socket } = await openSession({ heartbeat: 100 }, Ask.stream)
    expect(socket.transport).toBe('stream')
    socket.send('before')
    const stream = await client.stream()
    expect(stream.response.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    expect(await client.arrived.next()).toBe('before')
    for (let i = 0; i < 10; i++) {
      socket.send(`message ${i}`)
      expect(await client.arrived.next()).toBe(`message ${i}`)
    }
    await stream.next('ping')
    await stream.next('ping')
    const large = Buffer.alloc(3_000_000, 'large')
    socket.send(large)
    expect(large.equals((await client.arrived.next()) as Buffer)).toBe(true)
  })

  test('a stream that was cut: the next one goes on where the client is', async () => {
    const { client, socket } = await openSession({}, Ask.stream)
    const first = await client.stream()
    socket.send('one')
    await client.arrived.next()
    const lost = new Promise((resolve) => socket.once('transportchange', resolve))
    await first.cut()
    await lost
    socket.send('two')
    await client.stream()
    expect(await client.arrived.next()).toBe('two')
    expect(client.received).toEqual(['one', 'two'])
  })

  test('a stream gives way to a newer one, which goes on', async () => {
    const { client, socket } = await openSession({}, Ask.stream)
    const first = await client.stream()
    socket.send('one')
    await client.arrived.next()
    const second = await client.stream()
    expect(await first.ended).toBe(true)
    socket.send('two')
    expect(await client.arrived.next()).toBe('two')
    expect(second.head?.at).toEqual({ number: 1, offset: 0 })
  })

  test('many writes into a stream that is not read add no listeners', async () => {
    const { client, socket } = await openSession({}, Ask.stream)
    const stream = await client.stream()
    const warnings: string[] = []
    const warn = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', warn)
    onTestFinished(() => void process.off('warning', warn))
    stream.response.pause()
    const chunk = Buffer.alloc(500_000)
    for (let i = 0; i < 40; i++) {
      socket.send(chunk)
      await new Promise(setImmediate)
    }
    stream.response.resume()
    for (let i = 0; i < 40; i++) await client.arrived.next()
    expect(warnings).toEqual([])
  })
})

describe('event streams', () => {
  test('by ticket', async () => {
    const { client, socket } = await openSession()
    const stream = await client.eventStream(await client.ticket())
    expect(stream.response.statusCode).toBe(200)
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'x-accel-buffering': 'no',
    })
    expect(socket.transport).toBe('sse')
    for (const one of ['a', Buffer.from([0, 10, 13, 255]), 'data: x\n\n']) {
      socket.send(one)
      expect(await client.arrived.next()).toEqual(one)
    }
  })

  test('one that is open cannot be opened again, nor by a wrong ticket, nor by one that was replaced', async () => {
    const { client, socket, url } = await openSession()
    const old = await client.ticket()
    const ticket = await client.ticket()
    const id = ticket.slice(0, 16)
    await client.eventStream(ticket)
    const wrong = [
      ticket,
      old,
      id,
      `${id}AAAAAAAAAAAAAAAAAAAAAAAA`,
      'x',
      `${'A'.repeat(16)}${ticket.slice(16)}`,
      '',
      '%00',
    ]
    for (const one of wrong) {
      const answer = await fetchAll(marked(url, one))
      expect([answer.status, answer.body.toString()]).toEqual([
        404,
        'The ticket of the event stream is unknown or expired',
      ])
    }
    socket.send('still here')
    expect(await client.arrived.next()).toBe('still here')
  })

  test('one that was cut may be taken up by the same ticket', async () => {
    const { client, socket } = await openSession()
    const ticket = await client.ticket()
    const first = await client.eventStream(ticket)
    socket.send('one')
    await client.arrived.next()
    const lost = new Promise((resolve) => socket.once('transportchange', resolve))
    await first.cut()
    await lost
    socket.send('two')
    const second = await client.eventStream(ticket)
    expect(second.response.statusCode).toBe(200)
    expect(await client.arrived.next()).toBe('two')
    // The ticket says nothing of what has come: the server goes back to what was acknowledged.
    expect(second.head?.at).toEqual({ number: 0, offset: 0 })
  })

  test('a ticket is of its epoch', async () => {
    const { client, url } = await openSession()
    const ticket = await client.ticket()
    client.renew()
    await client.send()
    expect((await fetchAll(marked(url, ticket))).status).toBe(404)
  })

  test('a ticket is good for a while', async () => {
    const { client, url } = await openSession()
    const ticket = await client.ticket()
    const { now } = performance
    performance.now = () => now.call(performance) + 16_000
    onTestFinished(() => {
      performance.now = now
    })
    expect((await fetchAll(marked(url, ticket))).status).toBe(404)
  })
})

describe('on a slow line', () => {
  test('the first answer of a carrier is small, whatever waits', async () => {
    const { client, socket } = await openSession()
    const data = Buffer.alloc(300_000)
    socket.send(data)
    client.renew()
    const sizes = [await client.send(), await client.send(), await client.send()].map(
      ({ body }) => body.length,
    )
    expect(sizes[0]).toBeLessThan(10_000)
    expect(sizes[1]).toBeGreaterThan(200_000)
    expect(client.received).toEqual([data])
  })

  test.each(['stream', 'sse'] as const)(
    '%s: it can be seen to go on, however large the message',
    async (kind) => {
      const { client, socket } = await openSession()
      // The second piece comes when it is told to.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      onTestFinished(() => void vi.useRealTimers())
      const stream =
        kind === 'stream' ? await client.stream() : await client.eventStream(await client.ticket())
      const data = Buffer.alloc(300_000)
      const sizes = async () => {
        socket.send(data)
        const all: number[] = []
        for (let size = 0; size < data.length; size += all.at(-1) ?? 0)
          all.push((await stream.next('binary')).length)
        return all
      }
      expect(Math.max(...(await sizes()))).toBeLessThanOrEqual(8 * 1024)
      vi.advanceTimersByTime(100)
      await stream.next('pong')
      const later = await sizes()
      expect(Math.max(...later)).toBeLessThanOrEqual(64 * 1024)
      expect(later.length).toBeLessThan(10)
      expect(client.received).toEqual([data, data])
    },
  )
})

describe('a paused application', () => {
  test('makes the client wait, and loses nothing', async () => {
    const { client, socket } = await openSession()
    const messages = messagesOf(socket)
    socket.pause()
    const chunk = 'x'.repeat(400_000)
    const pauses = ({ records }: Answer) =>
      records
        .filter(({ kind }) => kind === 'pause')
        .map(({ payload }) => Number(Buffer.from(payload).toString()))
    for (let i = 0; i < 2; i++) expect(pauses(await client.send([text(chunk)]))).toEqual([])
    expect(pauses(await client.send([text(chunk)]))).toEqual([1])
    const held = client.poll()
    // What is sent all the same is not taken.
    expect(pauses(await client.send([text(chunk)]))).toEqual([1])
    expect(client.at.number).toBe(3)
    expect(messages.size).toBe(0)
    socket.resume()
    expect(pauses(await held)).toEqual([0])
    expect(pauses(await client.send([text(chunk)]))).toEqual([])
    expect(client.at.number).toBe(4)
    for (let i = 0; i < 4; i++) expect(await messages.next()).toBe(chunk)
    expect(messages.size).toBe(0)
  })
})
