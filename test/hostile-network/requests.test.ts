// What a network does to requests on their way to the server.

import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { fetchAll, open, readAll, talk } from '../support/http.ts'
import { behind, struck } from './server.ts'

const post = (url: string, body: string | Buffer = '', headers = {}) =>
  fetchAll(url, { method: 'POST', body, headers })

test('captive: every request is answered with a page to sign in, until it is over', async () => {
  const { network, reached } = await behind({ captive: true })
  for (const answer of [await fetchAll(network.url), await post(network.url, 'x'.repeat(100_000))]) {
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(String(answer.body)).toContain('Sign in to this network')
  }
  expect(reached).toEqual([])
  expect(String((await fetchAll(network.clear().url)).body)).toBe('hello')
})

test('captive by redirection: to a page that is there', async () => {
  const { network, reached } = await behind({ captive: 'redirect' })
  const answer = await fetchAll(`${network.url}/some/where`)
  expect([answer.status, answer.headers.location]).toEqual([302, `${network.url}/sign-in`])
  expect(String((await fetchAll(String(answer.headers.location))).body)).toContain('Sign in')
  expect(reached).toEqual([])
})

test('error pages: instead of the server, at the rate that was asked for', async () => {
  const { network, reached } = await behind({ errorPages: 0.5 })
  const names = struck(network)
  const statuses = []
  for (let i = 0; i < 60; i++) {
    const answer = await fetchAll(network.url)
    statuses.push(answer.status)
    if (answer.status !== 200) expect(answer.headers['content-type']).toContain('text/html')
  }
  expect([...new Set(statuses)].sort()).toEqual([200, 502, 503, 504])
  expect(reached.length).toBe(statuses.filter((status) => status === 200).length)
  expect(names.size).toBe(60 - reached.length)
  expect(reached.length).toBeGreaterThan(15)
  expect(reached.length).toBeLessThan(45)
})

test('error pages and pages to sign in keep the connection', async () => {
  const { network } = await behind({ errorPages: 1 })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  await fetchAll(network.url, { agent, method: 'POST', body: 'thrown away' })
  network.set({ errorPages: 0, captive: true })
  await fetchAll(network.url, { agent, method: 'POST', body: 'thrown away' })
  network.clear()
  const answer = await fetchAll(network.url, { agent, method: 'POST', body: 'kept' })
  expect(String(answer.body)).toBe('1: kept')
  expect(network.connections.size).toBe(1)
})

test('a body that is too large: 413, before it reaches the server', async () => {
  const { network, reached } = await behind({ maxBody: 1000 })
  const names = struck(network)
  expect((await post(network.url, 'x'.repeat(1000))).status).toBe(200)
  const answer = await post(network.url, 'x'.repeat(1001))
  expect([answer.status, answer.headers['content-type']]).toEqual([413, 'text/html; charset=utf-8'])
  expect(await names.next()).toBe('maxBody')
  expect(reached.length).toBe(1)
  expect((await post(network.clear().url, 'x'.repeat(1001))).status).toBe(200)
})

test('a body that says it is too large is refused before it comes', async () => {
  const { network } = await behind({ maxBody: 1000 })
  const ended = once(network, 'end')
  const said = await talk(network.port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n')
  expect(said).toMatch(/^HTTP\/1\.1 413 Payload Too Large\r\n/)
  const [connection] = await ended
  expect(connection.passed['to server']).toBe(0)
})

test('a body in chunks that grows too large: 413 as well, and the server does not get all of it', async () => {
  const { network, reached } = await behind({ maxBody: 1000 })
  const chunked = { 'Transfer-Encoding': 'chunked' }
  expect((await post(network.url, 'x'.repeat(1000), chunked)).status).toBe(200)
  expect((await post(network.url, 'x'.repeat(1001), chunked)).status).toBe(413)
  expect(reached.length).toBe(1)
})

test('a large body that is refused: the client gets the answer all the same', async () => {
  const { network } = await behind({ maxBody: 1000 })
  for (let i = 0; i < 5; i++) expect((await post(network.url, Buffer.alloc(8_000_000))).status).toBe(413)
})

test('stripped: headers that no standard knows are gone in both directions, and other methods', async () => {
  const { network, reached, answers } = await behind({ strip: true })
  const names = struck(network)
  const asked = open(`${network.url}/open`, { headers: { 'X-Mine': '1', Cookie: 'a=b' } })
  const answer = await answers.next()
  answer.writeHead(200, { 'X-Yours': '2', 'Set-Cookie': ['c=d', 'e=f'] }).write('at once')
  const response = await asked
  expect(await names.next()).toBe('strip')
  expect(reached[0]?.request.headers).toMatchObject({ cookie: 'a=b' })
  expect(reached[0]?.request.headers).not.toHaveProperty('x-mine')
  expect(response.headers['set-cookie']).toEqual(['c=d', 'e=f'])
  expect(response.headers).not.toHaveProperty('x-yours')
  const first = await new Promise((resolve) => response.once('data', resolve))
  expect(String(first)).toBe('at once')
  answer.end()
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
    expect((await fetchAll(network.url, { method })).status).toBe(405)
  }
  expect((await post(network.url, 'a body')).status).toBe(200)
  expect(reached.length).toBe(2)
})

test('an answer is lost: the request has reached the server, the client sees a reset', async () => {
  const { network, reached } = await behind({ loseAnswers: 1 })
  const names = struck(network)
  await expect(post(network.url, 'counts')).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(await names.next()).toBe('loseAnswers')
  expect(reached.map(({ body }) => body)).toEqual(['counts'])
  expect((await post(network.clear().url, 'again')).status).toBe(200)
})

test('a POST is repeated: the server has it twice, the client has one answer', async () => {
  const { network, reached } = await behind({ repeatPosts: 1 })
  const firsts = new Set<boolean>()
  for (let i = 0; i < 12; i++) {
    const before = reached.length
    const body = `number ${i} ${'x'.repeat(i * 1000)}`
    const answer = String((await post(network.url, body)).body)
    await expect.poll(() => reached.length).toBe(before + 2)
    expect(reached.slice(before).map((one) => one.body)).toEqual([body, body])
    expect([`${before + 1}: ${body}`, `${before + 2}: ${body}`]).toContain(answer)
    firsts.add(answer.startsWith(`${before + 1}:`))
  }
  expect(firsts.size).toBe(2)
  await fetchAll(network.url)
  expect(reached.length).toBe(25)
})

test('a POST is overtaken by a later one, and arrives', async () => {
  const { network, reached } = await behind({ overtake: [1, 60_000] })
  const names = struck(network)
  const held = new Promise((resolve) => network.once('data', resolve))
  const first = post(network.url, 'first')
  await held
  network.clear()
  await fetchAll(network.url)
  await post(network.url, 'second')
  await first
  expect(reached.map(({ body }) => body)).toEqual(['', 'second', 'first'])
  expect(await names.next()).toBe('overtake')
})

test('a POST that nobody overtakes goes on after its time', async () => {
  const { network, reached } = await behind({ overtake: [1, 30] })
  const names = struck(network)
  const from = performance.now()
  expect((await post(network.url, 'alone')).status).toBe(200)
  expect(performance.now() - from).toBeGreaterThanOrEqual(29)
  expect(reached.length).toBe(1)
  expect(names.size).toBe(0)
})

test('a POST is overtaken by one whose answer is still out', async () => {
  const { network, reached, answers } = await behind({ overtake: [1, 60_000] })
  const held = new Promise((resolve) => network.once('data', resolve))
  const first = post(network.url, 'first')
  await held
  const second = post(`${network.clear().url}/open`, 'second')
  const answer = await answers.next()
  await first
  answer.end()
  await second
  expect(reached.map(({ body }) => body)).toEqual(['second', 'first'])
})

test('requests that come one behind the other are answered in order', async () => {
  const { network, reached } = await behind()
  const socket = connect(network.port, '127.0.0.1')
  const one = (body: string): string =>
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  socket.write(`${one('a')}${one('b')}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  const said = await readAll(socket)
  expect(reached.map(({ body }) => body)).toEqual(['a', 'b', ''])
  expect(said.match(/1: a|2: b|hello/g)).toEqual(['1: a', '2: b', 'hello'])
})

test('a large body is passed on with back pressure, unchanged', async () => {
  const { network, reached } = await behind()
  const body = Buffer.alloc(20_000_000, 'everwire')
  expect(String((await post(network.url, body)).body).length).toBe(body.length + 3)
  expect(reached[0]?.body.length).toBe(body.length)
})

test('an earlier POST does not overtake', async () => {
  const { network, reached, answers } = await behind()
  const earlier = post(`${network.url}/open`, 'earlier')
  const answer = await answers.next()
  network.set({ overtake: [1, 60_000] })
  const came = new Promise((resolve) => network.once('data', resolve))
  const held = post(network.url, 'held')
  await came
  answer.end()
  await earlier
  await fetchAll(network.url)
  expect(reached.map(({ body }) => body)).toEqual(['earlier', ''])
  await post(network.clear().url, 'later')
  await held
  expect(reached.map(({ body }) => body)).toEqual(['earlier', '', 'later', 'held'])
})

test('a client that has said all when its POST is held back still gets its answer', async () => {
  const { network } = await behind({ overtake: [1, 20] })
  const socket = connect(network.port, '127.0.0.1')
  socket.end('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nheld')
  expect(await readAll(socket)).toContain('1: held')
})

test('a repetition that is still under way when its client has gone ends with the network', async () => {
  const { network, answers } = await behind({ repeatPosts: 1 })
  const ended = once(network, 'end')
  const asked = open(`${network.url}/open`, { method: 'POST', body: 'x' })
  const [first, second] = [await answers.next(), await answers.next()]
  first.writeHead(200, { 'X-Which': 'first' }).flushHeaders()
  second.writeHead(200, { 'X-Which': 'second' }).flushHeaders()
  const response = await asked
  const [mine, other] = response.headers['x-which'] === 'first' ? [first, second] : [second, first]
  mine.end()
  response.resume()
  await ended
  expect(other.destroyed).toBe(false)
  const gone = once(other, 'close')
  await network.close()
  await gone
})

test('a HEAD is answered without a body', async () => {
  const { network } = await behind({ errorPages: 1 })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  let connections = 0
  network.on('connection', () => connections++)
  for (const method of ['HEAD', 'GET', 'HEAD']) {
    expect((await fetchAll(network.url, { agent, method })).status).toBeGreaterThan(500)
  }
  network.clear()
  expect((await fetchAll(network.url, { agent })).status).toBe(200)
  expect(connections).toBe(1)
})

test('requests that a client sends before it has its answers go on when those have come', async () => {
  const { network, reached } = await behind({ errorPages: 1 })
  const socket = connect(network.port, '127.0.0.1')
  socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n')
  socket.write('POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n')
  network.on('request', (_connection, line) => line === 'POST /3' && socket.write('x'.repeat(2000)))
  network.on('request', (_connection, line) => line === 'POST /3' && network.clear())
  socket.write('')
  const said = new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
      if (text.includes('1: xx')) resolve(text)
    })
  })
  expect((await said).match(/HTTP\/1\.1 \d/g)).toEqual(['HTTP/1.1 5', 'HTTP/1.1 5', 'HTTP/1.1 2'])
  expect(reached.length).toBe(1)
  socket.destroy()
})

test('a POST that is too large to be kept is passed on, once', async () => {
  const { network, reached } = await behind({ repeatPosts: 1, overtake: 1 })
  const names = struck(network)
  await post(network.url, Buffer.alloc(17 * 1024 * 1024))
  await fetchAll(network.url)
  expect(reached.length).toBe(2)
  expect(names.size).toBe(0)
})
