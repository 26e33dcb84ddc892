// Bodies of requests: however they come, they cost what they weigh, and they do not come for ever.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, type Socket as Connection, connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { attachFallbacks, type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { listen, readAll } from '../support/http.ts'
import { binary, bodyOf, RawClient } from '../support/raw-client.ts'
import { end, watch } from '../support/serving.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const chunked = 'POST /realtime?everwire=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const tiny = '1\r\nx\r\n'
const mebibyte = 1024 * 1024

interface Bodies {
  readonly port: number
  readonly realtime: WebSocketServer
  /** Resolves when so many pieces of bodies have come, in all requests together. */
  pieces(count: number): Promise<void>
  readonly requests: IncomingMessage[]
}

/** A server by itself, and one behind `attachFallbacks`: both read bodies. */
const places: [string, (options?: ServerOptions) => Promise<Bodies>][] = [
  ['middleware', (options) => reading(options, false)],
  ['fallbacks', (options) => reading(options, true)],
]

async function reading(options: ServerOptions = {}, byFallbacks: boolean): Promise<Bodies> {
  const realtime = new WebSocketServer({ noServer: true, ...options })
  onTestFinished(() => end(realtime))
  const requests: IncomingMessage[] = []
  let came = 0
  let more = (): void => {}
  const server = createServer(realtime.middleware)
  if (byFallbacks) {
    server.on('upgrade', (request, socket, head) => {
      realtime.handleUpgrade(request, socket, head, (client) => realtime.emit('connection', client, request))
    })
    attachFallbacks(server)
    await settleHouse(server, realtime)
  }
  const emit = server.emit
  server.emit = function (this: typeof server, event: string, ...args: unknown[]) {
    const taken: boolean = Reflect.apply(emit, this, [event, ...args])
    if (event !== 'request') return taken
    const request = args[0] as IncomingMessage
    requests.push(request)
    request.on('data', () => {
      came++
      more()
    })
    return taken
  } as typeof server.emit
  const pieces = (count: number): Promise<void> =>
    new Promise((resolve) => {
      more = () => {
        if (came >= count) resolve()
      }
      more()
    })
  return { port: await listen(server), realtime, pieces, requests }
}

/** Its server is known to the fallbacks from the first session on, and so are its limits. */
async function settleHouse(
  server: ReturnType<typeof createServer>,
  realtime: WebSocketServer,
): Promise<void> {
  const opened = watch(realtime)
  await new RawClient(`http://127.0.0.1:${await listen(server)}/realtime`).open()
  ;(await opened.next()).socket.terminate()
}

async function open(port: number): Promise<Connection> {
  const connection = connect(port, '127.0.0.1')
  onTestFinished(() => void connection.destroy())
  connection.on('error', () => {})
  await once(connection, 'connect')
  return connection
}

function kept(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe.each(places)('read by %s', (_place, serving) => {
  test('a body in tiny pieces keeps as much memory as it has bytes on the wire, at most eight times', async () => {
    const { port, pieces } = await serving()
    const [connections, each] = [20, 15_000]
    const all = await Promise.all(Array.from({ length: connections }, () => open(port)))
    const before = kept()
    for (const connection of all) connection.write(chunked + tiny.repeat(each))
    await pieces(connections * each)
    const bytes = connections * each * tiny.length
    expect((kept() - before) / bytes).toBeLessThan(8)
  })

  test('a small body that stops before its end counts, and one that has come does not', async () => {
    const { port, realtime } = await serving()
    const connection = await open(port)
    connection.write('POST /realtime?everwire=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n')
    connection.write(Buffer.alloc(20_000))
    await expect.poll(() => realtime.memory).toBeGreaterThanOrEqual(20_000)
    connection.write(Buffer.alloc(10_000))
    expect(String((await once(connection, 'data'))[0])).toMatch(/^HTTP\/1\.1 400 /)
    expect(realtime.memory).toBe(0)
  })

  test('a body in more pieces than any network makes is refused, and ended if it goes on', async () => {
    const { port } = await serving()
    const connection = await open(port)
    const answer = readAll(connection)
    connection.write(chunked)
    // The limit of pieces for 1 MiB, and twice as many before the connection is ended.
    for (let i = 0; i < 50; i++) connection.write(tiny.repeat(1000))
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*too many small pieces/)
  })

  test('a body in pieces as small as a packet can be is taken', async () => {
    const { port, realtime } = await serving()
    const message = new Promise<unknown>((resolve) => {
      realtime.once('connection', (socket) => void socket.once('message', resolve))
    })
    const client = new RawClient(`http://127.0.0.1:${port}/realtime`)
    await client.open()
    const connection = await open(port)
    connection.setNoDelay(true)
    const body = bodyOf(client.head({ serial: 2 }), [binary(Buffer.alloc(900_000, 7))])
    connection.write(chunked)
    const size = 200
    for (let at = 0; at < body.length; at += size) {
      const piece = body.subarray(at, at + size)
      connection.write(
        Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
      )
    }
    connection.write('0\r\n\r\n')
    expect(Buffer.alloc(900_000, 7).equals((await message) as Buffer)).toBe(true)
  })

  test.each([
    ['says nothing more', () => {}],
    [
      'goes on for ever',
      (connection: Connection) => {
        const more = setInterval(() => connection.write(tiny), 5)
        connection.once('close', () => clearInterval(more))
      },
    ],
  ])('a body that %s is ended after bodyTimeout, without an answer', async (_what, goOn) => {
    const { port } = await serving({ bodyTimeout: 150 })
    const connection = await open(port)
    const answer = readAll(connection)
    const begun = performance.now()
    connection.write(chunked + tiny)
    goOn(connection)
    expect(await answer).toBe('')
    expect(performance.now() - begun).toBeGreaterThan(140)
  })

  test('what comes behind a body that is too large is thrown away no longer than bodyTimeout', async () => {
    const { port } = await serving({ bodyTimeout: 150 })
    const connection = await open(port)
    const answer = readAll(connection)
    connection.write(`${chunked.replace('Transfer-Encoding: chunked', `Content-Length: ${mebibyte * 8}`)}`)
    connection.write(Buffer.alloc(mebibyte + 1))
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*larger than 1048576 bytes/)
  })

  test('bodyTimeout is over when the body is there: its exchange may be held for longer', async () => {
    const { port, realtime } = await serving({ bodyTimeout: 100 })
    const connections = watch(realtime)
    const client = new RawClient(`http://127.0.0.1:${port}/realtime`)
    await client.open()
    const { socket } = await connections.next()
    const polled = client.poll()
    // A body that began after the poll and never comes: when its time is over, that of the poll would be, too.
    const other = await open(port)
    other.write(`${chunked}1\r\nx\r\n`)
    await once(other, 'close')
    socket.send('late')
    await polled
    expect(client.received).toEqual(['late'])
  })
})

test('over HTTP/2 a late body ends its stream, not the connection', async () => {
  const realtime = new WebSocketServer({ noServer: true, bodyTimeout: 150 })
  onTestFinished(() => end(realtime))
  const server = createHttp2Server((request, response) =>
    realtime.middleware(request as never, response as never),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  const late = client.request({ ':method': 'POST', ':path': '/realtime?everwire=1' }, { endStream: false })
  late.on('error', () => {})
  late.write('x')
  await once(late, 'close')
  expect(late.rstCode).toBe(8)
  const next = client.request({ ':path': '/realtime' })
  expect((await once(next, 'response'))[0][':status']).toBe(426)
})
