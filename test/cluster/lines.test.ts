// The connections that carry what is passed on: they read whatever a listener of Node may answer, in whatever pieces it comes.
import { once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type AnswerHead, type Line, Lines } from '../../cluster/passing/lines.ts'

interface Found {
  readonly status: number
  readonly headers: AnswerHead['headers']
  readonly body: string
}

const get = 'GET / HTTP/1.1\r\nhost: here\r\n\r\n'

/** Asks, and resolves with the answer, or with `'failed'`. */
function ask(line: Line, head = get, body: Uint8Array = new Uint8Array()): Promise<Found | 'failed'> {
  return new Promise((resolve) => {
    let answer: AnswerHead | undefined
    const pieces: Buffer[] = []
    line.ask(head, body, {
      head: (given) => {
        answer = given
      },
      body: (piece) => pieces.push(Buffer.from(piece)) > 0,
      done: () => resolve({ ...(answer as AnswerHead), body: `${Buffer.concat(pieces)}` }),
      failed: () => resolve('failed'),
    })
  })
}

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function linesTo(): Lines {
  const lines = new Lines()
  onTestFinished(() => lines.close())
  return lines
}

/** A server that answers each request with these bytes, in pieces of this size. */
function answering(text: string, size: number): Promise<string> {
  const send = async (socket: Socket): Promise<void> => {
    const bytes = Buffer.from(text, 'latin1')
    for (let at = 0; at < bytes.length; at += size) {
      socket.write(bytes.subarray(at, at + size))
      await new Promise(setImmediate)
    }
  }
  return listening(
    createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', () => void send(socket))
    }),
  )
}

const chunked =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVary: a\r\nVary: b\r\n\r\n5\r\nhello\r\n1;x=y\r\n,\r\nC\r\n wide\r\nworld\r\n0\r\nTrailer: x\r\n\r\n'
const plain = 'HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX-Empty:\r\n\r\n\r\n1'
const early =
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n'

test.for([1, 2, 3, 7, 1000])(
  'answers that come in pieces of %i bytes, one after the other on one connection',
  async (size) => {
    for (const [text, wanted] of [
      [chunked, { status: 200, body: 'hello, wide\r\nworld' }],
      [plain, { status: 404, body: '\r\n1' }],
      [early, { status: 204, body: '' }],
    ] as const) {
      const lines = linesTo()
      const address = await answering(text, size)
      const first = lines.take(address)
      const answer = await ask(first)
      expect(answer).toMatchObject(wanted)
      if (text === chunked) expect((answer as Found).headers.vary).toEqual(['a', 'b'])
      const second = lines.take(address)
      expect(second).toBe(first)
      expect(second.isReused).toBe(true)
      expect(await ask(second)).toMatchObject(wanted)
    }
  },
)

test.for([
  ['nonsense', 'SSH-2.0\r\n\r\n'],
  ['a size that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'],
  ['a chunk without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n'],
  ['a body without a length', 'HTTP/1.1 200 OK\r\n\r\nabc'],
  ['a head without an end', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`],
])('%s ends the connection', async ([, text]) => {
  const lines = linesTo()
  const line = lines.take(await answering(text as string, 100_000))
  expect(await ask(line)).toBe('failed')
})

test('what Node answers: bodies, streams, and the last answer on a connection', async () => {
  const seen: string[] = []
  const answer: RequestListener = (request, response) => {
    const body: Buffer[] = []
    request.on('data', (piece) => body.push(piece))
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${Buffer.concat(body)}`)
      if (request.url === '/stream') {
        response.write('one ')
        setImmediate(() => response.end('two'))
      } else if (request.url === '/last') response.writeHead(200, { Connection: 'close' }).end('last')
      else response.end('x'.repeat(300_000))
    })
  }
  const address = await listening(createHttp(answer))
  const lines = linesTo()
  const post = (path: string) => `POST ${path} HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\n`
  const body = Buffer.from('abc')
  expect(await ask(lines.take(address), post('/big'), body)).toMatchObject({ body: 'x'.repeat(300_000) })
  expect(await ask(lines.take(address), post('/stream'), body)).toMatchObject({ body: 'one two' })
  const line = lines.take(address)
  expect(await ask(line, post('/last'), body)).toMatchObject({ body: 'last' })
  expect(lines.take(address)).not.toBe(line)
  expect(seen).toEqual(['POST /big abc', 'POST /stream abc', 'POST /last abc'])
})

test('who takes no more is given no more, also of what has come already', async () => {
  const line = linesTo().take(await answering(chunked, 1000))
  const seen: string[] = []
  await new Promise<void>((resolve) => {
    line.ask(get, new Uint8Array(), {
      head: () => {},
      body: (piece) => {
        seen.push(`${piece}`)
        setImmediate(() => {
          seen.push('more')
          line.resume()
        })
        return false
      },
      done: resolve,
      failed: resolve,
    })
  })
  expect(seen).toEqual(['hello', 'more', ',', 'more', ' wide\r\nworld', 'more'])
})

test('a connection that is dropped at the head of an answer is not used again', async () => {
  const lines = linesTo()
  const address = await answering(early + chunked, 1000)
  const line = lines.take(address)
  const next = await new Promise<Line>((resolve) => {
    line.ask(get, new Uint8Array(), {
      head: () => {
        line.drop()
        queueMicrotask(() => resolve(lines.take(address)))
      },
      body: () => true,
      done: () => {},
      failed: () => {},
    })
  })
  expect(next).not.toBe(line)
})

test('a node that does not listen fails the exchange', async () => {
  const server = createServer()
  const address = await listening(server)
  server.close()
  await once(server, 'close')
  expect(await ask(linesTo().take(address))).toBe('failed')
})
