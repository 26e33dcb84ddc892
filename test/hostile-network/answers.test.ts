// What a network does to answers on their way to the client.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createPlainServer, type Socket } from 'node:net'
import { createGunzip, gunzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { type HostileNetwork, type HostileNetworkOptions, hostileNetwork } from '../../testing/index.ts'
import { fetchAll, listen, open, readAll, talk } from '../support/http.ts'
import { ask, plain } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { behind, ownClock, struck } from './server.ts'

const accepting = { headers: { 'Accept-Encoding': 'gzip, br' } }

/** What comes of an answer, piece by piece. */
function pieces(response: NodeJS.ReadableStream): Queue<string> {
  const queue = new Queue<string>()
  response.on('data', (chunk) => queue.push(String(chunk)))
  response.on('end', () => queue.push('end'))
  response.on('error', () => queue.push('error'))
  return queue
}

async function openAnswer(options: HostileNetworkOptions, headers = {}) {
  const { network, answers } = await behind(options)
  const names = struck(network)
  const asked = open(`${network.url}/open`, { headers })
  const answer = await answers.next()
  return { network, names, asked, answer }
}

/** A network before a server that says this to whatever comes, and then, perhaps, ends. */
async function before(answer: string, ends = true): Promise<{ port: number; network: HostileNetwork }> {
  const server = createPlainServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      if (ends) socket.end(answer, 'latin1')
      else socket.write(answer, 'latin1')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const network = await hostileNetwork((server.address() as { port: number }).port)
  onTestFinished(async () => {
    await network.close()
    server.close()
  })
  return { port: network.port, network }
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n'

/** So long that it shows by time, told by the network itself. */
async function aWhile(network: HostileNetwork, ms: number): Promise<void> {
  const socket = await plain(network.url)
  network.set({ cutWebSockets: ms })
  await once(socket, 'close')
  network.set({ cutWebSockets: Number.POSITIVE_INFINITY })
}

test('an answer passes piece by piece, as it comes', async () => {
  const { asked, answer } = await openAnswer({})
  answer.flushHeaders()
  const seen = pieces(await asked)
  for (const text of ['one', 'two', 'three']) {
    answer.write(text)
    expect(await seen.next()).toBe(text)
  }
  answer.end()
  expect(await seen.next()).toBe('end')
})

test('buffered: nothing of it before it is complete, then all', async () => {
  const { network, names, asked, answer } = await openAnswer({ buffer: true })
  let begun = false
  void asked.then(() => {
    begun = true
  })
  for (const text of ['one', 'two']) await new Promise((resolve) => answer.write(text, resolve))
  await fetchAll(network.url)
  expect(begun).toBe(false)
  answer.end('three')
  expect(await names.next()).toBe('buffer')
  const seen = pieces(await asked)
  let all = ''
  for (let text = await seen.next(); text !== 'end'; text = await seen.next()) all += text
  expect(all).toBe('onetwothree')
})

test('buffered by so many bytes: passed on in pieces of that size, the rest when it is complete', async () => {
  const { network, names, asked, answer } = await openAnswer({ buffer: 1000 })
  const sent = ['a', 'b', 'c'].map((letter) => letter.repeat(700)).join('')
  answer.write(sent.slice(0, 1400))
  let all = ''
  const seen = pieces(await asked)
  while (!all.includes('b')) all += await seen.next()
  let more = false
  const next = seen.next().finally(() => {
    more = true
  })
  await fetchAll(network.url)
  // Of the head nothing is known here but that it goes with the first piece.
  expect(all.length).toBeLessThan(1000)
  expect(more).toBe(false)
  answer.end(sent.slice(1400))
  expect(await names.next()).toBe('buffer')
  all += await next
  while (all.length < sent.length) all += await seen.next()
  expect(all).toBe(sent)
})

test('buffered until the connection ends, where only that ends it', async () => {
  const { port, network } = await before('HTTP/1.0 200 OK\r\n\r\nall of it')
  network.set({ buffer: true })
  expect(await talk(port, get)).toBe('HTTP/1.0 200 OK\r\n\r\nall of it')
})

test('an answer that is too large to be kept is cut', async () => {
  const { asked, answer } = await openAnswer({ buffer: true })
  answer.on('error', () => {})
  const lost = expect(asked).rejects.toThrow(/ECONNRESET|hang up/)
  answer.end(Buffer.alloc(65 * 1024 * 1024))
  await lost
})

test('WebSockets are not buffered', async () => {
  const { network } = await behind({ buffer: true, gzip: true, strip: true })
  const socket = await plain(network.url)
  network.set({ answerLimit: 20 })
  expect(await ask(socket, 'hello')).toBe('hello')
  await expect(fetchAll(`${network.url}/open`)).resolves.toMatchObject({ status: 504 })
  expect(await ask(socket, 'still')).toBe('still')
})

test('an answer that takes too long and has begun is cut', async () => {
  const clock = ownClock()
  const { port, network } = await before('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbegun', false)
  const names = struck(network.set({ answerLimit: 50 }))
  clock.pass(1000)
  const socket = connect(port, '127.0.0.1')
  socket.write(get)
  const [first] = await once(socket, 'data')
  expect(String(first)).toMatch(/begun$/)
  clock.pass(49)
  expect(names.size).toBe(0)
  clock.pass(1)
  expect(await names.next()).toBe('answerLimit')
  expect(await readAll(socket)).toBe('')
})

test('an answer that takes too long and has not begun: 504, and the server is left', async () => {
  const clock = ownClock()
  const { names, asked, answer } = await openAnswer({ answerLimit: 50 })
  const left = once(answer, 'close')
  clock.pass(50)
  const response = await asked
  expect([response.statusCode, response.headers['content-type']]).toEqual([504, 'text/html; charset=utf-8'])
  expect(await names.next()).toBe('answerLimit')
  await left
})

test('buffered for too long: 504 instead of what there was', async () => {
  const clock = ownClock()
  const { network, asked, answer } = await openAnswer({ answerLimit: 50, buffer: true })
  const come = once(network, 'data')
  answer.write('never seen')
  await come
  clock.pass(50)
  const response = await asked
  expect(response.statusCode).toBe(504)
  expect(await readAll(response as never)).not.toContain('never seen')
})

test('an answer that is in time is left alone, and so is the next on that connection', async () => {
  const { network } = await behind({ answerLimit: 10_000 })
  expect((await fetchAll(network.url)).status).toBe(200)
})

test('a limit that is switched on counts for what is under way from then on', async () => {
  const { network, asked } = await openAnswer({})
  await aWhile(network, 40)
  const from = performance.now()
  network.set({ answerLimit: 60_000 }).set({ answerLimit: 30 })
  expect((await asked).statusCode).toBe(504)
  expect(performance.now() - from).toBeGreaterThanOrEqual(29)
})

test('compressed: each piece at once, for those who accept it', async () => {
  const { network, names, asked, answer } = await openAnswer({ gzip: true }, accepting.headers)
  answer.flushHeaders()
  const response = await asked
  expect(response.headers).toMatchObject({ 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' })
  const seen = pieces(response.pipe(createGunzip()))
  for (const text of ['one', 'two', 'three']) {
    answer.write(text)
    expect(await seen.next()).toBe(text)
  }
  answer.end()
  expect(await seen.next()).toBe('end')
  expect(await names.next()).toBe('gzip')
  const other = await fetchAll(network.url)
  expect([other.headers['content-encoding'], String(other.body)]).toEqual([undefined, 'hello'])
})

test.each([
  ['', 'hello'],
  ['br, gzip;q=0', 'hello'],
  ['gzip;q=0.5', 'compressed'],
  ['*', 'compressed'],
])('a client that accepts "%s" gets it %s', async (accepts, how) => {
  const { network } = await behind({ gzip: true })
  const answer = await fetchAll(network.url, { headers: { 'Accept-Encoding': accepts } })
  if (how === 'hello') expect(String(answer.body)).toBe('hello')
  else expect(String(gunzipSync(answer.body))).toBe('hello')
})

test('compressed and large, compressed and buffered, compressed and ended by the connection', async () => {
  const large = createServer((_request: IncomingMessage, response: ServerResponse) => {
    const text = 'everwire '.repeat(1000)
    const write = (left: number): void => {
      if (left === 0) response.end()
      else if (response.write(text)) setImmediate(write, left - 1)
      else response.once('drain', () => write(left - 1))
    }
    write(2000)
  })
  const network = await hostileNetwork(await listen(large), { gzip: true })
  onTestFinished(() => network.close())
  expect(gunzipSync((await fetchAll(network.url, accepting)).body).length).toBe(18_000_000)
  network.set({ buffer: true })
  expect(gunzipSync((await fetchAll(network.url, accepting)).body).length).toBe(18_000_000)
  const old = await before('HTTP/1.0 200 OK\r\n\r\nuntil the end')
  old.network.set({ gzip: true })
  const answer = await fetchAll(`http://127.0.0.1:${old.port}`, accepting)
  expect(String(gunzipSync(answer.body))).toBe('until the end')
  expect(answer.headers.connection).toBe('close')
  const early = await before(
    'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  )
  early.network.set({ gzip: true })
  const after = await fetchAll(`http://127.0.0.1:${early.port}`, accepting)
  expect(String(gunzipSync(after.body))).toBe('hello')
})

test.each([
  ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  [
    'in chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: z\r\n\r\n',
  ],
  ['until the end', 'HTTP/1.1 200 OK\r\n\r\nhello'],
  ['after 103', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
  ['empty', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
  ['cut short in its head', 'HTTP/1.1 200 OK\r\nContent-Len'],
  ['no HTTP', 'SSH-2.0-x\r\n'],
])('an answer %s gets through byte for byte, buffered or not', async (_name, answer) => {
  const { port, network } = await before(answer)
  expect(await talk(port, get)).toBe(answer)
  network.set({ buffer: true })
  expect(await talk(port, get)).toBe(answer)
})

test('an answer to HEAD has no body, whatever its length says; nor has 304', async () => {
  const length = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
  const { port, network } = await before(length, false)
  network.set({ buffer: true, gzip: true })
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write('HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n')
  expect(String((await once(socket, 'data'))[0])).toBe(length)
  const unchanged = 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'
  const other = await before(unchanged, false)
  other.network.set({ buffer: true, gzip: true })
  const again = connect(other.port, '127.0.0.1')
  onTestFinished(() => void again.destroy())
  again.write(get)
  expect(String((await once(again, 'data'))[0])).toBe(unchanged)
})

test('a client that does not read makes the server wait', async () => {
  const { asked, answer } = await openAnswer({})
  const piece = Buffer.alloc(1024 * 1024)
  const written = (): number => answer.socket?.bytesWritten ?? 0
  const pump = (): void => {
    while (!answer.writableEnded && answer.write(piece));
  }
  answer.on('drain', pump)
  pump()
  const response = await asked
  // Until nothing has moved for many turns.
  for (let [still, before] = [0, -1]; still < 200; ) {
    await new Promise((resolve) => setImmediate(resolve))
    if (written() === before) still++
    else [still, before] = [0, written()]
    if (before > 256 * piece.length) break
  }
  expect(written()).toBeLessThan(256 * piece.length)
  const reached = written()
  answer.off('drain', pump)
  let size = 0
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
  })
  answer.end()
  await once(response, 'end')
  expect(size).toBeGreaterThanOrEqual(reached - 1_000_000)
})

test('the end of each message is found wherever it is cut', async () => {
  const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n'
  const request = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
  const requests: string[] = []
  const server = createPlainServer((socket: Socket) => {
    let said = ''
    socket.setNoDelay(true).on('error', () => {})
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1')
      if (!said.endsWith('0\r\n\r\n')) return
      requests.push(said)
      said = ''
      writeBytes(socket, answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const network = await hostileNetwork((server.address() as { port: number }).port, { buffer: true })
  onTestFinished(async () => {
    await network.close()
    server.close()
  })
  const socket = connect({ port: network.port, host: '127.0.0.1', noDelay: true })
  onTestFinished(() => void socket.destroy())
  const seen = new Queue<string>()
  socket.on('data', (chunk) => seen.push(chunk.toString('latin1')))
  for (let i = 0; i < 3; i++) {
    writeBytes(socket, request)
    expect(await seen.next()).toBe(answer)
  }
  expect(requests).toEqual([request, request, request])
})

/** Each byte in a turn of its own. */
function writeBytes(socket: Socket, text: string): void {
  const [first, rest] = [text.slice(0, 1), text.slice(1)]
  if (first === '') return
  socket.write(first, 'latin1', () => setImmediate(writeBytes, socket, rest))
}
