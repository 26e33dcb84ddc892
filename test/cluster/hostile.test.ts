// What a client that leaves at a bad moment, or that sends a long head, can do to the nodes that pass its requests on.
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { Ask } from '../../shared/exchange.ts'
import { fetchAll } from '../support/http.ts'
import { bodyOf, hello, postRaw, RawClient, text } from '../support/raw-client.ts'
import { joinNode, lease, type Node, startNodes } from './nodes.ts'

/** Whatever the process would have ended of. */
function crashes(): unknown[] {
  const all: unknown[] = []
  const note = (error: unknown) => void all.push(error)
  process.prependListener('uncaughtException', note)
  onTestFinished(() => void process.off('uncaughtException', note))
  return all
}

/** Another node, of which only the connections are there, or this server, and which has this session. */
async function ownerOf(
  client: RawClient,
  server = createServer(),
): Promise<{ node: Node; asked: Promise<Socket> }> {
  const store = new MemoryStore()
  const node = await joinNode(store.engine())
  onTestFinished(() => void server.close())
  const asked = new Promise<Socket>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      onTestFinished(() => void socket.destroy())
      socket.once('data', () => resolve(socket))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  const owner = store.engine()
  await owner.open({ published() {}, told() {}, connection() {} })
  await owner.beat({ name: 'owner', address: `127.0.0.1:${port}`, version: '1.0' }, lease * 100)
  await owner.claim(Buffer.from(client.id).toString('base64url'), 'owner', 60_000, '')
  return { node, asked }
}

/** What was written on loopback is read within two turns. */
async function turns(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise(setImmediate)
}

/** A connection that sends a handshake for this client's session. */
async function handshake(client: RawClient, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(
    [
      'GET / HTTP/1.1',
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Sec-WebSocket-Protocol: ${client.token({ epoch: 2 })}`,
      '\r\n',
    ].join('\r\n'),
  )
  return socket
}

test('a client that resets its connection while the refusal of another node is on its way ends nothing', async () => {
  const all = crashes()
  const client = new RawClient('')
  const { node, asked } = await ownerOf(client)
  const socket = await handshake(client, node.port)
  const owner = await asked
  owner.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\nnot ')
  await turns()
  socket.resetAndDestroy()
  await turns()
  owner.end('now.')
  await once(owner, 'close')
  expect(all).toEqual([])
})

test('a stranger that resets its handshake with a node ends nothing', async () => {
  const all = crashes()
  const { nodes } = await startNodes(1)
  const [{ member }] = nodes as [Node]
  const port = Number(member.address.split(':').at(-1))
  for (let round = 0; round < 20; round++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write('GET /?everwire=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    if (round % 2) await new Promise(setImmediate)
    socket.resetAndDestroy()
    await once(socket, 'close')
  }
  // What came before this one has been read.
  await once(
    connect(port, '127.0.0.1').end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').resume(),
    'close',
  )
  expect(all).toEqual([])
})

test('a head as long as a node takes it reaches the node that has the session', async () => {
  const { nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient('')
  const ask = (node: Node, records = [text('long')], over = {}) =>
    postRaw(node.url, bodyOf(client.head({ serial: ++client.shortSerial, ...over }), records), {
      headers: { 'X-Long': 'x'.repeat(16_250) },
    })
  expect((await ask(first, [hello()], { ask: Ask.open })).head?.status).toBe(0)
  expect((await ask(second)).head?.status).toBe(0)
})

test('a node that finds a head too long has answered, and is not taken for one that is silent', async () => {
  const client = new RawClient('')
  const { node, asked } = await ownerOf(client)
  const answer = postRaw(node.url, bodyOf(client.head({ serial: 1 }), [text('')]))
  const owner = await asked
  owner.end('HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n')
  expect((await answer).status).toBe(431)
})

test('a body that waits for another node counts as memory, until its client leaves or there is too little', async () => {
  const client = new RawClient('')
  const { node } = await ownerOf(client)
  const large = text('x'.repeat(300_000))
  const ask = (at: AbortSignal) =>
    fetch(`${node.url}?everwire=1`, {
      method: 'POST',
      body: Uint8Array.from(bodyOf(client.head({ serial: ++client.shortSerial }), [large])),
      signal: at,
    }).catch(({ name }: Error) => name)
  const [leaves, leave] = [new AbortController(), new AbortController()]
  const left = ask(leaves.signal)
  await expect.poll(() => node.realtime.memory).toBeGreaterThan(300_000)
  leaves.abort()
  expect(await left).toBe('AbortError')
  await expect.poll(() => node.realtime.memory).toBe(0)
  Object.assign(node.realtime.options, { maxMemory: 1_000_000 })
  const others = Array.from({ length: 4 }, () => ask(leave.signal))
  expect(await Promise.race(others)).toBe('TypeError')
  expect(node.realtime.memory).toBeLessThan(1_000_000)
  leave.abort()
  await Promise.all(others)
})

test('a node with an address that is none ends no other one', async () => {
  const all = crashes()
  const store = new MemoryStore()
  const node = await joinNode(store.engine(), {}, undefined, { relay: false })
  const other = store.engine()
  await other.open({ published() {}, told() {}, connection() {} })
  await other.beat({ name: 'other', address: '127.0.0.1:70000', version: '1.0' }, lease * 100)
  const client = new RawClient('')
  await other.claim(Buffer.from(client.id).toString('base64url'), 'other', 60_000, '')
  expect((await postRaw(node.url, bodyOf(client.head({ serial: 1 }), [text('')]))).status).toBe(503)
  expect(all).toEqual([])
})

test('a node that is said to have a session, and does not, is asked again only after pauses', async () => {
  let asked = 0
  const server = createHttpServer((_, response) => {
    asked++
    response.writeHead(421).end()
  })
  const client = new RawClient('')
  const { node } = await ownerOf(client, server)
  const ticket = Buffer.from(client.id).toString('base64url').padEnd(48, 'x')
  expect((await fetchAll(`${node.url}?everwire=${ticket}`)).status).toBe(503)
  expect(asked).toBeGreaterThan(2)
  expect(asked).toBeLessThan(40)
})

test('what no node has asked, on the channel of a node, ends nothing', async () => {
  const all = crashes()
  const note = (error: unknown) => void all.push(error)
  process.on('unhandledRejection', note)
  onTestFinished(() => void process.off('unhandledRejection', note))
  const store = new MemoryStore()
  const node = await joinNode(store.engine())
  for (const question of ['null', '0', '"ask"', '[]', '{"ask":"closed"}', '{"ask":"clients","limit":{}}'])
    store.tell(node.member.name, Buffer.from(`{"from":"nobody","id":1,"question":${question}}`))
  for (const text of ['null', '{', '{"from":"nobody","id":1,"answer":{}}', '\u0001'])
    store.tell(node.member.name, Buffer.from(text))
  expect(await node.realtime.count()).toEqual({ count: 0, nodes: 1, missing: 0 })
  expect(all).toEqual([])
})

test('an answer of another node that nobody reads has a deadline', async () => {
  const store = new MemoryStore()
  const owner = await joinNode(store.engine())
  const between = await joinNode(store.engine(), { answerTimeout: 300 })
  const client = new RawClient(owner.url)
  await client.open()
  const { socket } = await owner.connections.next()
  const connection = connect(between.port, '127.0.0.1')
  onTestFinished(() => void connection.destroy())
  connection.on('error', () => {})
  connection.pause()
  const body = bodyOf(client.head({ ask: Ask.hold | Ask.stream, serial: 1 }))
  connection.write(`POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`)
  connection.write(body)
  await expect.poll(() => socket.transport).toBe('stream')
  const passing = () => between.realtime.stats().cluster?.passing
  expect(passing()).toBe(1)
  // So much that the operating system cannot take it all.
  socket.send(Buffer.alloc(20_000_000))
  await expect.poll(passing).toBe(0)
  await expect.poll(() => between.realtime.memory).toBe(0)
})
