// Exchanges of the client in Node, over node:http: what comes of answers that end, break off, wait, or are nobody's.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { EventDecoder } from '../../client/node/event-decoder.ts'
import { exchange, NodeAbort, type NodeAnswer } from '../../client/node/node-http.ts'
import { Way } from '../../client/node/node-way.ts'
import { listen } from '../support/http.ts'

const headers = { Host: 'localhost' }
const LightAbort = NodeAbort as unknown as typeof AbortController

async function serve(listener: RequestListener) {
  const server = createServer(listener)
  const connections: Socket[] = []
  server.on('connection', (socket) => connections.push(socket))
  const url = `http://127.0.0.1:${await listen(server)}/`
  return { server, url, connections, way: new Way(url, { family: 4 }) }
}

async function whole(answer: NodeAnswer): Promise<string> {
  const reader = answer.getReader()
  let text = ''
  for (let read = await reader.read(); !read.done; read = await reader.read()) text += String(read.value)
  return text
}

test('what stands in a request', async () => {
  const seen: IncomingMessage[] = []
  const { url } = await serve((request, response) => {
    seen.push(request)
    response.end()
  })
  const options = { headers: { accept: 'x/y', 'X-Own': '1' }, auth: 'name:word' }
  const way = new Way(url, options)
  await exchange(way, { url: `${url}a?b=1`, body: Buffer.from('abc'), headers: way.headers(options, '*/*') })
  await exchange(way, { url, headers: way.headers({}, 'text/event-stream') })
  const [first, second] = seen
  expect([first?.method, first?.url, second?.method, second?.url]).toEqual(['POST', '/a?b=1', 'GET', '/'])
  expect(first?.headers).toEqual({
    host: new URL(url).host,
    'user-agent': 'node',
    accept: 'x/y',
    'accept-encoding': 'identity',
    'x-own': '1',
    authorization: `Basic ${Buffer.from('name:word').toString('base64')}`,
    'content-length': '3',
    connection: 'keep-alive',
  })
  expect(second?.headers.accept).toBe('text/event-stream')
})

test('a redirect is an answer like others', async () => {
  const { url, way } = await serve((_, response) => response.writeHead(302, { Location: '/there' }).end())
  const answer = await exchange(way, { url, headers })
  expect([answer.status, answer.statusText, answer.headers.get('location')]).toEqual([302, 'Found', '/there'])
})

test('pieces come as they are written, and the connection serves the next exchange', async () => {
  let response: ServerResponse | undefined
  const { url, way, connections } = await serve((_, begun) => {
    response = begun
    begun.write('one')
  })
  for (const turn of [1, 2]) {
    const reader = (await exchange(way, { url, headers })).getReader()
    expect(String((await reader.read()).value)).toBe('one')
    const next = reader.read()
    response?.end('two')
    expect(String((await next).value)).toBe('two')
    expect(await reader.read()).toEqual({ done: true })
    expect(connections.length, `after ${turn}`).toBe(1)
  }
})

test('an exchange that is given up when it is over leaves its connection to the others', async () => {
  let held: ServerResponse | undefined
  const { url, way, connections } = await serve((request, response) => {
    if (request.url === '/held') held = response.writeHead(200)
    else response.end('done')
    held?.flushHeaders()
  })
  const over = new AbortController()
  expect(await whole(await exchange(way, { url, headers, signal: over.signal }))).toBe('done')
  const next = await exchange(way, { url: `${url}held`, headers })
  over.abort()
  held?.end('still here')
  expect(await whole(next)).toBe('still here')
  expect(connections.length).toBe(1)
})

test.each([
  ['before its answer', AbortController],
  ['in its answer', AbortController],
  ['before its answer', LightAbort],
  ['in its answer', LightAbort],
])('an exchange is given up %s, by %o', async (when, Abort) => {
  const { server, url, way } = await serve((_, response) => {
    if (when === 'in its answer') response.write('one')
  })
  const stop = new Abort()
  const asked = once(server, 'request')
  const answer = exchange(way, { url, headers, signal: stop.signal })
  const [, response] = await asked
  const closed = once(response, 'close')
  if (when === 'in its answer') {
    const reader = (await answer).getReader()
    await reader.read()
    stop.abort()
    await expect(reader.read()).rejects.toThrow('aborted')
  } else {
    stop.abort()
    await expect(answer).rejects.toThrow('aborted')
  }
  await closed
})

test.each([AbortController, LightAbort])(
  'one that was given up before it began asks nothing, by %o',
  async (Abort) => {
    const { url, way, connections } = await serve((_, response) => response.end())
    const stop = new Abort()
    stop.abort()
    await expect(exchange(way, { url, headers, signal: stop.signal })).rejects.toThrow('aborted')
    await exchange(way, { url, headers })
    expect(connections.length).toBe(1)
  },
)

test('an answer that breaks off is no whole one', async () => {
  const { url, way } = await serve((_, response) => {
    response.writeHead(200, { 'Content-Length': 10 }).write('half')
    setImmediate(() => response.destroy())
  })
  await expect(exchange(way, { url, headers }).then(whole)).rejects.toThrow('aborted')
})

test('nothing is repeated on a connection that the server has closed', async () => {
  let requests = 0
  const { url, way } = await serve((request, response) => {
    if (++requests === 1) response.end('first')
    else request.socket.destroy()
  })
  await whole(await exchange(way, { url, headers }))
  await expect(exchange(way, { url, headers })).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(requests).toBe(2)
})

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
])('an answer that is encoded, %s, is unpacked', async (encoding, pack) => {
  const packed = pack('text')
  const { url, way, connections } = await serve((_, response) =>
    response.writeHead(200, { 'Content-Encoding': encoding }).end(packed),
  )
  expect(await whole(await exchange(way, { url, headers }))).toBe('text')
  expect(await whole(await exchange(way, { url, headers }))).toBe('text')
  expect(connections.length).toBe(1)
})

test('an encoded answer that breaks off is no whole one, nor is one that is not what it says', async () => {
  const { url, way } = await serve((request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' })
    if (request.url === '/wrong') response.end('text')
    else {
      response.write(gzipSync('text').subarray(0, -9))
      setImmediate(() => response.destroy())
    }
  })
  await expect(exchange(way, { url, headers }).then(whole)).rejects.toThrow('aborted')
  await expect(exchange(way, { url: `${url}wrong`, headers }).then(whole)).rejects.toThrow('incorrect header')
})

test('an encoding that nobody asked for and that is not known here is named', async () => {
  const { url, way } = await serve((_, response) =>
    response.writeHead(200, { 'Content-Encoding': 'br' }).end('x'),
  )
  await expect(exchange(way, { url, headers }).then(whole)).rejects.toThrow('The answer is encoded: br')
})

test('what nobody reads is left to the network', async () => {
  let taken = 0
  const total = 64 * 1024 * 1024
  const { url, way } = await serve((_, response) => {
    const write = (): void => {
      let more = true
      while (more && taken < total) {
        taken += 65_536
        more = response.write(Buffer.alloc(65_536))
      }
      if (more) response.end()
      else response.once('drain', write)
    }
    write()
  })
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const reader = (await exchange(way, { url, headers, signal: stop.signal })).getReader()
  await reader.read()
  // Once a round trip over another connection is through, what the system takes has been taken.
  const other = await serve((_, response) => response.end())
  for (let trips = 0; trips < 20; trips++) await whole(await exchange(other.way, { url: other.url, headers }))
  expect(taken).toBeLessThan(total / 2)
})

test('a farewell whose answer nobody reads does not hold its connection', async () => {
  const { url, way, connections } = await serve((_, response) => response.end('thank you'))
  const answer = await exchange(way, { url, headers, body: Buffer.from('bye') })
  answer.discard()
  await expect.poll(() => Object.keys(way.forHTTP.freeSockets).length).toBe(1)
  await exchange(way, { url, headers })
  expect(connections.length).toBe(1)
})

test('events are read whatever pieces they come in, and nothing else of a stream is', () => {
  const events = ['one', 'two', 'x'.repeat(9000)]
  const stream = Buffer.from(
    `: a comment\nevent: message\n\n${events.map((text) => `data: ${btoa(text)}\n\n`).join('id: 1\r\n')}data: cut off`,
  )
  for (const size of [1, 2, 7, 4096, stream.length]) {
    const decoder = new EventDecoder()
    let read = ''
    for (let at = 0; at < stream.length; at += size) read += decoder.push(stream.subarray(at, at + size))
    expect(read, `in pieces of ${size}`).toBe(events.join(''))
  }
})

test('an event that never ends is not kept without a limit', () => {
  const decoder = new EventDecoder()
  const chunk = Buffer.alloc(64 * 1024, 'data')
  const pushUntil = (total: number): void => {
    for (let at = 0; at < total; at += chunk.length) decoder.push(chunk)
  }
  const most = 4 * 1024 * 1024
  pushUntil(most)
  // One that has ended counts no more.
  decoder.push(Buffer.from('\n'))
  pushUntil(most)
  expect(() => decoder.push(chunk)).toThrow('too large')
})

test('who is told of an end is told once, and not after it was taken off', () => {
  const end = new NodeAbort()
  const told: string[] = []
  const off = (): unknown => told.push('off')
  for (const tell of [() => told.push('one'), off, () => told.push('two')])
    end.signal.addEventListener('abort', tell)
  end.signal.removeEventListener('abort', off)
  end.signal.removeEventListener('abort', off)
  expect(end.signal.aborted).toBe(false)
  end.abort()
  end.abort()
  expect([end.signal.aborted, ...told]).toEqual([true, 'one', 'two'])
})
