// What a network does to connections, whatever is said on them.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Connection, hostileNetwork } from '../../testing/index.ts'
import { fetchAll, listen, open, readAll, talk } from '../support/http.ts'
import { ask, plain } from '../support/plain-client.ts'
import { behind, ownClock, struck } from './server.ts'

const get = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

/** How it ended: `'ok'`, or the code of the error. */
async function ending(socket: Socket): Promise<string> {
  let code = 'ok'
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? 'error'
  })
  socket.resume()
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return code
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('without faults everything gets through as it is', async () => {
  const { network, port } = await behind()
  const through = await talk(network.port, get)
  const direct = await talk(port, get)
  const undated = (answer: string): string => answer.replace(/Date: .*\r\n/, '')
  expect(undated(through)).toBe(undated(direct))
  const socket = await plain(`${network.url}/`)
  expect(await ask(socket, 'hello')).toBe('hello')
  socket.close(4321, 'λ')
  const [code, reason] = await once(socket, 'close')
  expect([code, String(reason)]).toEqual([4321, 'λ'])
})

test('a target is a port, a URL, or host and port', async () => {
  const { port } = await behind()
  for (const target of [port, `http://127.0.0.1:${port}/path`, { host: '127.0.0.1', port }]) {
    const network = await hostileNetwork(target)
    onTestFinished(() => network.close())
    expect(network.target).toEqual({ host: '127.0.0.1', port })
    expect(network.url).toBe(`http://127.0.0.1:${network.port}`)
    expect((await fetchAll(network.url)).status).toBe(200)
  }
  await expect(hostileNetwork('https://127.0.0.1')).rejects.toThrow(TypeError)
})

test('what is no fault, or no value of one, is refused', async () => {
  const { network } = await behind()
  expect(() => network.set({ slow: true } as object)).toThrow("Unknown fault 'slow'")
  expect(() => network.set({ loss: 2 })).toThrow("Invalid value 2 for the fault 'loss'")
  expect(() => network.set({ upgrade: 101 })).toThrow(TypeError)
  expect(() => network.set({ cutWebSockets: [9, 1] })).toThrow(TypeError)
  expect(() => network.set({ overtake: [0.5, Number.NaN] })).toThrow(TypeError)
  await expect(hostileNetwork(network.port, { delay: -1 })).rejects.toThrow(TypeError)
})

test('faults are switched one by one, and all off at once', async () => {
  const { network } = await behind({ buffer: true })
  expect(network.set({ upgrade: 403 })).toBe(network)
  expect(network.faults).toMatchObject({ buffer: true, upgrade: 403, delay: 0, maxBody: Infinity })
  expect(network.clear().faults).toMatchObject({ buffer: false, upgrade: 'pass' })
})

test('it tells what happens, in order', async () => {
  const { network } = await behind()
  const seen: string[] = []
  network.on('connection', () => seen.push('connection'))
  network.on('request', (_connection, line, webSocket) => seen.push(`${line} ${webSocket}`))
  network.on('data', (_connection, direction) => seen.push(direction))
  const ended = once(network, 'end')
  await talk(network.port, get)
  const [connection] = (await ended) as [Connection]
  expect(seen).toEqual(['connection', 'GET / false', 'to server', 'to client'])
  expect(connection).toMatchObject({ request: 'GET /', webSocket: false, silent: false })
  expect(connection.passed['to server']).toBe(get.length)
  expect(network.connections.size).toBe(0)
})

test('what is not HTTP gets through too', async () => {
  const echo = createServer()
  echo.removeAllListeners('connection')
  echo.on('connection', (socket: Socket) => socket.pipe(socket))
  const network = await hostileNetwork(await listen(echo))
  onTestFinished(() => network.close())
  for (const bytes of ['\x16\x03\x01 no HTTP', 'HELO me\r\n', 'CONNECT x:1 HTTP/1.1\r\n\r\n']) {
    const socket = await connected(network.port)
    socket.write(bytes, 'latin1')
    expect((await once(socket, 'data'))[0].toString('latin1')).toBe(bytes)
    socket.end('more')
    expect(await readAll(socket)).toBe('more')
  }
})

test('connections refused: reset; those that are open go on', async () => {
  const { network } = await behind()
  const names = struck(network)
  const socket = await plain(`${network.url}/`)
  network.set({ connections: 'refuse' })
  await expect(fetchAll(network.url)).rejects.toThrow(/ECONNRESET|hang up/)
  expect(await names.next()).toBe('connections')
  expect(await ask(socket, 'still')).toBe('still')
  network.clear()
  expect((await fetchAll(network.url)).status).toBe(200)
})

test('connections swallowed: taken, and nothing reaches the server or comes back', async () => {
  const { network, reached } = await behind({ connections: 'swallow' })
  const arrived = once(network, 'connection')
  const socket = connect(network.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('data', () => expect.unreachable())
  socket.write(get)
  const [connection] = (await arrived) as [Connection]
  network.clear()
  expect(await talk(network.port, get)).toContain('hello')
  expect(reached.length).toBe(1)
  expect(connection.silent).toBe(true)
  expect(socket.destroyed).toBe(false)
  const ended = once(network, 'end')
  socket.destroy()
  await ended
})

test('cut: both ends see a reset, those that were not picked nothing', async () => {
  const { network, webSockets } = await behind()
  const first = await plain(`${network.url}/first`)
  const second = await plain(`${network.url}/second`)
  const server = await webSockets.next()
  const ends = Promise.all([once(first, 'close'), once(server, 'close')])
  expect(network.cut(({ request }) => request === 'GET /first')).toBe(1)
  expect((await ends).map(([code]) => code)).toEqual([1006, 1006])
  expect(await ask(second, 'still')).toBe('still')
  expect(network.cut()).toBe(1)
  await once(second, 'close')
})

test('cut while bytes are on their way: they are lost', async () => {
  const { network, reached } = await behind()
  network.once('data', (connection) => connection.cut())
  await expect(fetchAll(network.url)).rejects.toThrow()
  expect((await fetchAll(network.url)).status).toBe(200)
  expect(reached.length).toBe(1)
})

test('silent: nothing gets through in either direction, and new connections work', async () => {
  const { network, webSockets } = await behind()
  const socket = await plain(`${network.url}/`)
  const server = await webSockets.next()
  for (const end of [socket, server]) {
    end.on('message', () => expect.unreachable()).on('close', () => expect.unreachable())
  }
  expect(network.silence(({ webSocket }) => webSocket)).toBe(1)
  socket.send('lost')
  server.send('lost')
  const other = await plain(`${network.url}/`)
  expect(await ask(other, 'works')).toBe('works')
  expect([...network.connections].map(({ silent }) => silent)).toEqual([true, false])
  socket.removeAllListeners('close')
  server.removeAllListeners('close')
  const both = [once(network, 'end'), once(server, 'close')]
  socket.terminate()
  server.terminate()
  await Promise.all(both)
})

test('silent: what is on its way is lost too', async () => {
  const { network, reached } = await behind({ delay: 15 })
  const slow = [await connected(network.port), await connected(network.port)]
  for (const socket of slow) socket.on('data', () => expect.unreachable()).write(get)
  // One is silenced with its request on the wire, the other while its answer is looked at.
  network.on('data', (connection, direction) => {
    network.silence((other) => other !== connection)
    if (direction === 'to client') connection.silence()
  })
  const all = Promise.all([once(network, 'end'), once(network, 'end')])
  while ([...network.connections].some(({ silent }) => !silent)) await once(network, 'data')
  network.removeAllListeners('data')
  expect(await talk(network.port, get)).toContain('hello')
  expect(reached.length).toBe(2)
  for (const socket of slow) socket.destroy()
  await all
})

test('silent: an answer that is on its way is lost', async () => {
  const { network } = await behind({ delay: 15 })
  const socket = await connected(network.port)
  socket.on('data', () => expect.unreachable()).write(get)
  let [, direction] = await once(network, 'data')
  while (direction !== 'to client') [, direction] = await once(network, 'data')
  expect(network.silence()).toBe(1)
  // Later on the same wire, were there no silence.
  expect(await talk(network.port, get)).toContain('hello')
})

test('a new target is for new connections', async () => {
  const { network } = await behind()
  const other = await behind()
  const socket = await plain(`${network.url}/`)
  network.target = { host: '127.0.0.1', port: other.port }
  await fetchAll(network.url)
  expect(other.reached.length).toBe(1)
  expect(await ask(socket, 'old')).toBe('old')
})

test('nobody behind it: reset', async () => {
  const { network, port } = await behind()
  const free = await hostileNetwork(port)
  await free.close()
  network.target = { host: '127.0.0.1', port: free.port }
  await expect(fetchAll(network.url)).rejects.toThrow(/ECONNRESET|hang up/)
})

test('how long it was idle before the limit is not counted', async () => {
  const { network } = await behind()
  const timer = await plain(network.url)
  const socket = connect(network.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(network, 'connection')
  network.set({ cutWebSockets: 60 })
  await once(timer, 'close')
  const from = performance.now()
  network.set({ idleLimit: 60_000 }).set({ idleLimit: 40 })
  expect(await ending(socket)).toBe('ECONNRESET')
  expect(performance.now() - from).toBeGreaterThanOrEqual(39)
})

test('an idle connection is cut, one on which something passes is not', async () => {
  const clock = ownClock()
  const { network } = await behind()
  const names = struck(network)
  const idle = await plain(`${network.url}/idle`)
  const busy = await plain(`${network.url}/busy`)
  network.set({ idleLimit: 100 })
  for (const ms of [60, 39]) {
    clock.pass(ms)
    await ask(busy, 'here')
    expect([...network.connections].map(({ request }) => request)).toEqual(['GET /idle', 'GET /busy'])
  }
  clock.pass(1)
  await once(idle, 'close')
  expect(await names.next()).toBe('idleLimit')
  clock.pass(98)
  expect(await ask(busy, 'still')).toBe('still')
  clock.pass(100)
  await once(busy, 'close')
})

test('an answer that pauses for too long is cut', async () => {
  const clock = ownClock()
  const { network, answers } = await behind({ idleLimit: 50 })
  const asked = open(`${network.url}/open`)
  const answer = await answers.next()
  answer.write('first')
  const response = await asked
  const lost = new Promise<Error>((resolve) => response.resume().once('error', resolve))
  clock.pass(50)
  expect((await lost).message).toBe('aborted')
})

test('WebSockets are cut after their time, whatever passes; requests are left alone', async () => {
  const clock = ownClock()
  const { network, answers } = await behind({ cutWebSockets: 50 })
  clock.pass(1000)
  const asked = open(`${network.url}/open`)
  const answer = await answers.next()
  const socket = await plain(`${network.url}/`)
  clock.pass(49)
  expect(await ask(socket, 'in time')).toBe('in time')
  clock.pass(1)
  expect((await once(socket, 'close'))[0]).toBe(1006)
  answer.end('whole')
  expect((await asked).statusCode).toBe(200)
})

test('WebSockets that are open are cut from when it is switched on, and not when it is switched off again', async () => {
  const { network } = await behind()
  const socket = await plain(`${network.url}/`)
  network.set({ cutWebSockets: 30 }).clear()
  const other = await plain(`${network.url}/`)
  network.set({ cutWebSockets: [20, 40] })
  await Promise.all([once(socket, 'close'), once(other, 'close')])
})

test('an orderly end is passed on as one', async () => {
  const { network } = await behind()
  const socket = await connected(network.port)
  socket.write(get)
  expect(await ending(socket)).toBe('ok')
})

test('a reset by the server is passed on as one', async () => {
  const server = createServer((request) => void request.socket.resetAndDestroy())
  const network = await hostileNetwork(await listen(server))
  onTestFinished(() => network.close())
  const socket = await connected(network.port)
  socket.write(get)
  expect(await ending(socket)).toBe('ECONNRESET')
})

test('a reset by the client is passed on as one', async () => {
  const { network, answers } = await behind()
  const socket = await connected(network.port)
  socket.write('GET /open HTTP/1.1\r\nHost: x\r\n\r\n')
  const answer = await answers.next()
  const error = once(answer.socket as Socket, 'error')
  socket.resetAndDestroy()
  expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' })
})

test('closing leaves nothing open', async () => {
  const { network, answers, webSockets } = await behind({ delay: 5, idleLimit: 60_000, answerLimit: 60_000 })
  const socket = await plain(`${network.url}/`)
  const server = await webSockets.next()
  const lost = fetchAll(`${network.url}/open`).catch((error: Error) => error)
  const answer = await answers.next()
  const gone = [once(socket, 'close'), once(server, 'close'), once(answer, 'close')]
  await Promise.all([network.close(), network.close()])
  expect(await lost).toBeInstanceOf(Error)
  await Promise.all(gone)
  expect(network.connections.size).toBe(0)
  await expect(fetchAll(network.url)).rejects.toThrow('ECONNREFUSED')
})

test('disposed, it is closed', async () => {
  const { port } = await behind()
  const network = await hostileNetwork(port)
  await network[Symbol.asyncDispose]()
  await expect(fetchAll(network.url)).rejects.toThrow('ECONNREFUSED')
})
