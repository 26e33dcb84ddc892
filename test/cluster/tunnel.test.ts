// Connections between two nodes through the store.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { readFrame, writeFrame } from '../../cluster/passing/frames.ts'
import { Lines } from '../../cluster/passing/lines.ts'
import { Relay } from '../../cluster/passing/relay.ts'
import { type Tunnel, tunnelWindow } from '../../cluster/passing/tunnel.ts'

const kibi = 1024

/** Two nodes, and what goes between them. `lose`: whether a frame gets lost. */
class Pair {
  readonly taken: Tunnel[] = []
  readonly frames: { readonly to: string; readonly data: Uint8Array }[] = []
  readonly one: Relay
  readonly two: Relay
  isDown = false
  lose: (to: string, data: Uint8Array) => boolean = () => false

  constructor() {
    this.one = this.#relay('one')
    this.two = this.#relay('two')
  }

  #relay(name: string): Relay {
    return new Relay({
      name,
      secret: () => 'a secret of both',
      engine: {
        tell: async (to, data) => {
          if (this.isDown) throw new Error('The store cannot be reached')
          this.frames.push({ to, data })
          if (!this.lose(to, data)) queueMicrotask(() => (to === 'one' ? this.one : this.two).told(data))
        },
      },
      connected: (tunnel) => void this.taken.push(tunnel),
    })
  }

  /** A connection from one to two, with both its ends. */
  async connect(): Promise<[Tunnel, Tunnel]> {
    const near = this.one.connect('two')
    near.write('hello')
    await once(near, 'connect')
    const far = this.taken.at(-1) as Tunnel
    expect(String(far.read())).toBe('hello')
    return [near, far]
  }
}

async function all(readable: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of readable) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

/** Also of one that ends with an error. */
const closed = (tunnel: Tunnel): Promise<void> =>
  tunnel.closed ? Promise.resolve() : new Promise((resolve) => tunnel.once('close', resolve))

const bytesOf = (size: number) => Buffer.from(Array.from({ length: size }, (_, i) => i * 7))

test('bytes arrive in order in both directions, and each end on its own', async () => {
  const [near, far] = await new Pair().connect()
  const [up, down] = [bytesOf(1_000_000), bytesOf(700_001)]
  near.end(up)
  far.end(down)
  const [atFar, atNear] = await Promise.all([all(far), all(near)])
  expect(Buffer.compare(atFar, up)).toBe(0)
  expect(Buffer.compare(atNear, down)).toBe(0)
})

test('who does not read gets no more than a window', async () => {
  const pair = new Pair()
  const [near, far] = await pair.connect()
  pair.frames.length = 0
  const sent = bytesOf(4 * tunnelWindow)
  let isWritten = false
  near.end(sent, () => {
    isWritten = true
  })
  for (let i = 0; i < 50; i++) await setImmediate()
  const told = pair.frames.filter(({ to }) => to === 'two').reduce((sum, { data }) => sum + data.length, 0)
  expect(isWritten).toBe(false)
  expect(told).toBeGreaterThan(tunnelWindow / 2)
  // The stream itself takes a frame or two.
  expect(told).toBeLessThan(1.6 * tunnelWindow)
  expect(Buffer.compare(await all(far), sent)).toBe(0)
})

test('no more than two mebibytes are on their way to a node', async () => {
  const pair = new Pair()
  const ends: Tunnel[] = []
  for (let i = 0; i < 20; i++) ends.push((await pair.connect())[0])
  let told = 0
  // The other node gets nothing any more, and says nothing.
  pair.lose = (_to, data) => {
    told += data.length
    return true
  }
  for (const near of ends) near.write(bytesOf(200 * kibi))
  for (let i = 0; i < 50; i++) await setImmediate()
  expect(told).toBeGreaterThan(1.5 * kibi * kibi)
  expect(told).toBeLessThan(2 * kibi * kibi + 20 * kibi)
})

test('a frame that is lost ends all connections between the two nodes, and new ones work', async () => {
  const pair = new Pair()
  const [one, two] = [await pair.connect(), await pair.connect()]
  pair.lose = () => {
    pair.lose = () => false
    return true
  }
  one[0].write('lost')
  two[0].write('not believed')
  const ends = [...one, ...two]
  await Promise.all(ends.map(closed))
  const [near, far] = await pair.connect()
  far.end('fine')
  expect(String(await all(near))).toBe('fine')
})

test('while the store is away there is no connection, and the other node learns that they are gone', async () => {
  const pair = new Pair()
  const [near, far] = await pair.connect()
  pair.isDown = true
  pair.one.connection(false)
  expect(near.destroyed).toBe(true)
  expect(pair.one.connect('two').destroyed).toBe(true)
  expect(far.destroyed).toBe(false)
  pair.isDown = false
  pair.one.connection(true)
  await closed(far)
  await pair.connect()
})

test('an end that is destroyed destroys the other one', async () => {
  const [near, far] = await new Pair().connect()
  far.destroy()
  await closed(near)
})

test('what came before the other end was closed is read', async () => {
  const [near, far] = await new Pair().connect()
  const sent = bytesOf(tunnelWindow)
  near.end()
  far.resume().end(sent)
  await closed(far)
  for (let i = 0; i < 5; i++) await setImmediate()
  expect(Buffer.compare(await all(near), sent)).toBe(0)
  await closed(near)
})

test('what no node of the cluster has written for this node is ignored, and so is what comes twice', async () => {
  const pair = new Pair()
  const [near, far] = await pair.connect()
  near.write('genuine')
  for (let i = 0; i < 5; i++) await setImmediate()
  const { data } = pair.frames.findLast(({ to }) => to === 'two') as { data: Uint8Array }
  pair.two.told(data)
  const frame = readFrame('a secret of both', 'two', data)
  if (!frame) throw new Error('It cannot be read')
  const next = { ...frame, seq: frame.seq + 1 }
  pair.two.told(writeFrame('another secret, that is as long', 'two', next))
  pair.two.told(writeFrame('a secret of both', 'three', next))
  const changed = Buffer.from(writeFrame('a secret of both', 'two', next))
  changed[changed.length - 17] = (changed.at(-17) as number) ^ 1
  pair.two.told(changed)
  for (const size of [0, 1, 16, 17, 33, 40]) pair.two.told(Buffer.from(data.subarray(0, size)))
  near.end('.')
  expect(String(await all(far))).toBe('genuine.')
})

test('a line and node:http take it for a connection, and keep it', async () => {
  const pair = new Pair()
  const server = createServer((asked, answer) => asked.pipe(answer))
  pair.taken.push = (tunnel) => Number(server.emit('connection', tunnel))
  const lines = new Lines((node) => pair.one.connect(node))
  const ask = (body: string): Promise<[string, boolean]> =>
    new Promise((resolve, reject) => {
      const line = lines.take('two')
      const { isReused } = line
      const pieces: Buffer[] = []
      line.ask(`POST / HTTP/1.1\r\nhost: two\r\ncontent-length: ${body.length}\r\n\r\n`, Buffer.from(body), {
        head: () => {},
        body: (piece) => pieces.push(piece) > 0,
        done: () => resolve([String(Buffer.concat(pieces)), isReused]),
        failed: () => reject(new Error('The connection has ended')),
      })
    })
  expect(await ask('one')).toEqual(['one', false])
  expect(await ask('two')).toEqual(['two', true])
  lines.close()
  pair.one.close()
})

test('node:http upgrades it', async () => {
  const pair = new Pair()
  const server = createServer()
  server.on('upgrade', (_asked, far: Tunnel) => {
    far.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    far.pipe(far)
  })
  pair.taken.push = (tunnel) => Number(server.emit('connection', tunnel))
  const headers = { connection: 'Upgrade', upgrade: 'websocket' }
  const asking = request({ headers, createConnection: () => pair.one.connect('two') })
  asking.end()
  const [, near] = (await once(asking, 'upgrade')) as [unknown, Tunnel]
  near.end('echo')
  expect(String(await all(near))).toBe('echo')
  pair.one.close()
})

test('a node is believed also if the clock of its machine was set back since it was forgotten', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const pair = new Pair()
  await pair.connect()
  pair.one.forget('two')
  vi.setSystemTime(Date.now() - 300_000)
  const [near, far] = await pair.connect()
  far.write('welcome back')
  await once(near, 'readable')
  expect(String(near.read())).toBe('welcome back')
})
