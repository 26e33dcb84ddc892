// An HTTP server of which a library only hears upgrades: sessions over HTTP come to it as such.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import express from 'express'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocketServer as Foreign } from 'ws'
import { WebSocket } from '../../client/node.ts'
import { attachFallbacks, type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { fetchAll, listen, talk } from '../support/http.ts'
import { Queue } from '../support/queue.ts'
import { bodyOf, hello, marked, RawClient, text } from '../support/raw-client.ts'
import { closeOf, end, messagesOf, watch } from '../support/serving.ts'

type Upgrade = [request: IncomingMessage, socket: Duplex, head: Buffer]

function ours(options: ServerOptions = {}): WebSocketServer {
  const realtime = new WebSocketServer({ noServer: true, ...options })
  onTestFinished(() => end(realtime))
  return realtime
}

/** An HTTP server with fallbacks; `upgrade` is its only listener for clients. */
async function serving(upgrade: (...args: Upgrade) => void, path?: string): Promise<Library> {
  const server = createServer((_request, response) => response.writeHead(404).end('nothing'))
  const upgrades: IncomingMessage[] = []
  server.on('upgrade', (...args: Upgrade) => {
    upgrades.push(args[0])
    upgrade(...args)
  })
  const detach = attachFallbacks(server, path)
  return { server, upgrades, detach, url: `http://127.0.0.1:${await listen(server)}` }
}

interface Library {
  readonly server: Server
  readonly upgrades: IncomingMessage[]
  readonly url: string
  detach(): void
}

/** As the README of `ws` has it. */
function taking(realtime: WebSocketServer): (...args: Upgrade) => void {
  return (request, socket, head) => {
    realtime.handleUpgrade(request, socket, head, (client) => realtime.emit('connection', client, request))
  }
}

test('the opening is an upgrade, as a WebSocket is; what follows asks nobody', async () => {
  const realtime = ours()
  const connections = watch(realtime)
  const { url, upgrades } = await serving(taking(realtime))
  const client = new RawClient(`${url}/chat?room=1`, { Cookie: 'who=me' })
  await client.open(['one', 'two'])
  const { socket, request } = await connections.next()
  const messages = messagesOf(socket)
  await client.send([text('hello')])
  expect(await messages.next()).toBe('hello')
  socket.send('hi')
  await client.poll()
  expect(client.received).toEqual(['hi'])
  const stream = await client.eventStream(await client.ticket())
  socket.send('again')
  await stream.next('text')
  expect(upgrades).toHaveLength(1)
  expect(upgrades[0]).toBe(request)
  expect(request.method).toBe('GET')
  expect(request.url).toBe('/chat?room=1')
  expect(request.headers).toMatchObject({
    cookie: 'who=me',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'one, two',
  })
  expect(request.headers['content-length']).toBeUndefined()
  expect(request.rawHeaders.filter((name) => /^upgrade$/i.test(name))).toHaveLength(2)
  expect(socket.protocol).toBe('one')
})

test('a rule for origins may take its time', async () => {
  const realtime = ours({ origins: async (origin) => origin === 'https://app.example.com' })
  const connections = watch(realtime)
  const { url } = await serving(taking(realtime))
  const client = new RawClient(url, { Origin: 'https://app.example.com' })
  expect((await client.open()).head?.status).toBe(0)
  const messages = messagesOf((await connections.next()).socket)
  await client.send([text('hello')])
  expect(await messages.next()).toBe('hello')
  expect((await new RawClient(url, { Origin: 'https://other.example.com' }).open()).status).toBe(403)
})

test('a request that waits for the answer to one before it on its connection', async () => {
  let allCame: () => void = () => {}
  const all = new Promise<void>((resolve) => {
    allCame = resolve
  })
  const realtime = ours({ verifyClient: () => all.then(() => true) })
  const connections = watch(realtime)
  const { server, url, upgrades } = await serving((...args) => {
    taking(realtime)(...args)
    if (upgrades.length === 3) allCame()
  })
  const opening = (last: boolean): Buffer => {
    const body = bodyOf(new RawClient(url).head({ serial: 1, ask: Ask.open }), [hello()])
    const head = `Host: x\r\nContent-Length: ${body.length}\r\n${last ? 'Connection: close\r\n' : ''}`
    return Buffer.concat([Buffer.from(`POST /?everwire=1 HTTP/1.1\r\n${head}\r\n`), body])
  }
  const { port } = server.address() as AddressInfo
  const answers = await talk(port, Buffer.concat([opening(false), opening(false), opening(true)]))
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(Array(3).fill('HTTP/1.1 200'))
  for (let i = 0; i < 3; i++) await connections.next()
})

test('a body that is being read counts in the memory of the server that has sessions', async () => {
  const realtime = ours()
  const connections = watch(realtime)
  const { server, url } = await serving(taking(realtime))
  await new RawClient(url).open()
  await connections.next()
  const { port } = server.address() as AddressInfo
  const client = connect(port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  client.write('POST /?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
  client.write(Buffer.alloc(200_000))
  await expect.poll(() => realtime.memory).toBeGreaterThanOrEqual(200_000)
  client.destroy()
  await expect.poll(() => realtime.memory).toBe(0)
})

test('servers by path, each asked for its own sessions', async () => {
  const [one, other] = [ours({ path: '/one' }), ours({ path: '/other' })]
  const [ones, others] = [watch(one), watch(other)]
  const { url } = await serving((request, ...rest) => {
    taking(request.url === '/one' ? one : other)(request, ...rest)
  })
  const clients = [new RawClient(`${url}/one`), new RawClient(`${url}/other`)] as const
  for (const client of clients) await client.open()
  const sockets = [(await ones.next()).socket, (await others.next()).socket]
  for (const [i, client] of clients.entries()) {
    sockets[i]?.send(`for ${i}`)
    await client.poll()
    expect(client.received).toEqual([`for ${i}`])
  }
  expect((await new RawClient(`${url}/nowhere`).open()).status).toBe(400)
})

test('what the listener refuses is refused, with what it says', async () => {
  const { url } = await serving((_request, socket) => {
    socket.once('finish', () => socket.destroy())
    socket.end(
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nConnection: close\r\n\r\nSign in first',
    )
  })
  const answer = await new RawClient(url).open()
  expect(answer.status).toBe(401)
  expect(answer.headers).toMatchObject({ 'www-authenticate': 'Basic' })
  expect(String(answer.body)).toBe('Sign in first')
})

test('what a framework answers through a response of its own arrives', async () => {
  const { url } = await serving((request, socket) => {
    const response = new ServerResponse(request)
    response.assignSocket(socket as never)
    response.once('finish', () => socket.end())
    response.writeHead(403, { 'Content-Type': 'text/html' }).end('<p>Größe</p>')
  })
  const answer = await new RawClient(url).open()
  expect(answer.status).toBe(403)
  expect(answer.headers).toMatchObject({ 'content-type': 'text/html' })
  expect(String(answer.body)).toBe('<p>Größe</p>')
})

test('what the listener destroys is cut', async () => {
  const { url } = await serving((_request, socket) => void socket.destroy())
  await expect(new RawClient(url).open()).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('a WebSocket server of somebody else that takes it gets nothing, and the client a refusal', async () => {
  const foreign = new Foreign({ noServer: true })
  const closes: Promise<unknown[]>[] = []
  const { url } = await serving((...args) => {
    foreign.handleUpgrade(...args, (client) => closes.push(once(client, 'close')))
  })
  const answer = await new RawClient(url).open()
  expect(answer.status).toBe(426)
  expect(closes).toHaveLength(1)
  await Promise.all(closes)
})

test('nobody answers, and the client goes: the connection is closed for the listener', async () => {
  const shown = new Queue<Duplex>()
  const { url } = await serving((_request, socket) => shown.push(socket))
  const gone = new AbortController()
  const asked = new RawClient(url).open([], {}, { signal: gone.signal })
  const closed = once(await shown.next(), 'close')
  gone.abort()
  await expect(asked).rejects.toThrow()
  await closed
})

test('an open client is a connection to the listener for as long as it lives', async () => {
  const realtime = ours()
  const connections = watch(realtime)
  const shown = new Queue<Duplex>()
  const { url } = await serving((request, socket, head) => {
    shown.push(socket)
    taking(realtime)(request, socket, head)
  })
  const client = new RawClient(url)
  await client.open()
  const connection = await shown.next()
  const { socket } = await connections.next()
  await client.send()
  expect(connection.destroyed).toBe(false)
  const closed = once(connection, 'close')
  socket.terminate()
  await closed
})

test('a session that ended, or never was, is unknown', async () => {
  const realtime = ours()
  const connections = watch(realtime)
  const { url } = await serving(taking(realtime))
  const client = new RawClient(url)
  await client.open()
  const { socket } = await connections.next()
  const closed = closeOf(socket)
  socket.terminate()
  await closed
  await client.send()
  expect((await client.send()).head?.status).toBe(2)
  expect((await new RawClient(url).send()).head?.status).toBe(2)
  expect((await fetchAll(marked(url, 'nonsense'))).status).toBe(404)
})

test('a body that is none of ours is refused by whom it was meant for; one that is too large before', async () => {
  const { url } = await serving(taking(ours()))
  const post = (body: Uint8Array) => fetchAll(marked(url), { method: 'POST', body })
  expect((await post(Buffer.from('tea'))).status).toBe(400)
  expect((await post(Buffer.alloc(1_048_577))).status).toBe(413)
})

test('larger bodies, where a server that has sessions takes them', async () => {
  const realtime = ours({ maxBody: 4_000_000 })
  const connections = watch(realtime)
  const { url } = await serving(taking(realtime))
  const client = new RawClient(url)
  await client.open()
  const messages = messagesOf((await connections.next()).socket)
  await client.send([text('x'.repeat(1_000_000)), text('y'.repeat(1_000_000))])
  expect([await messages.next(), await messages.next()].map(String).map(({ length }) => length)).toEqual([
    1_000_000, 1_000_000,
  ])
})

test('only below the path, and nothing after it is detached', async () => {
  const realtime = ours()
  const { url, upgrades, detach } = await serving(taking(realtime), '/live/')
  for (const path of ['/live', '/live/', '/live/chat']) {
    expect((await new RawClient(url + path).open()).head?.status).toBe(0)
  }
  for (const path of ['/', '/lively', '/other']) {
    expect((await new RawClient(url + path).open()).status).toBe(404)
  }
  expect((await fetchAll(marked(`${url}/live`))).status).toBe(404)
  expect((await fetchAll(`${url}/live`, { method: 'POST' })).status).toBe(404)
  detach()
  expect((await new RawClient(`${url}/live`).open()).status).toBe(404)
  expect(upgrades).toHaveLength(3)
})

test('probes of the doctor come through', async () => {
  const { url } = await serving(taking(ours()))
  const client = new RawClient(url)
  const { head } = await client.open([], { ask: Ask.probe })
  expect(head?.status).toBe(0)
  expect(client.welcome).toMatchObject({ heartbeat: 15_000 })
  const { response } = await client.eventStream('probe.100')
  expect(response.statusCode).toBe(200)
})

test('beside a mount of ours in an application, each gets its own', async () => {
  const app = express()
  const [mounted, other] = [ours(), ours()]
  app.use('/realtime', mounted.middleware)
  const server = createServer(app)
  const takeOther = taking(other)
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/other') takeOther(request, socket, head)
    else socket.destroy()
  })
  attachFallbacks(server)
  const url = `ws://127.0.0.1:${await listen(server)}`
  const [mounts, others] = [watch(mounted), watch(other)]
  for (const transports of [['polling'], ['websocket'], ['stream']] as const) {
    for (const [path, connections] of [
      ['/other', others],
      ['/realtime', mounts],
    ] as const) {
      const client = new WebSocket(url + path, { transports })
      const { socket } = await connections.next()
      const messages = messagesOf(socket as Socket)
      client.onopen = () => client.send(path)
      expect(await messages.next()).toBe(path)
      const closed = once(client, 'close')
      client.close()
      await closed
    }
  }
})
