// From which pages a browser may come, where that depends on more than a header: TLS, HTTP/2, rules that throw, changed options.
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  connect,
  constants,
  createSecureServer,
  createServer,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { uncaught } from '../support/faults.ts'
import { fetchAll, listen } from '../support/http.ts'
import { plain, refused } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { bodyOf, hello, marked, RawClient } from '../support/raw-client.ts'
import { end, serve, watch } from '../support/serving.ts'
import { secureServer, selfSigned } from '../support/tls.ts'

beforeAll(ensureBuilt)

type Listener = (request: IncomingMessage, response: ServerResponse) => void

function mounted(options: ServerOptions = {}) {
  const realtime = new WebSocketServer(options)
  onTestFinished(() => end(realtime))
  return { realtime, listener: realtime.middleware as Listener, connections: watch(realtime) }
}

describe('with TLS', () => {
  test('a page without it is not the same', async () => {
    const { listener, connections } = mounted()
    const port = await listen(secureServer(listener) as unknown as Server)
    const url = `https://127.0.0.1:${port}/`
    const host = `127.0.0.1:${port}`
    for (const [scheme, status] of [
      ['https', 200],
      ['http', 403],
    ] as const) {
      const opened = await new RawClient(url, { Origin: `${scheme}://${host}` }).open()
      expect([scheme, opened.status]).toEqual([scheme, status])
    }
    await plain(url, [], { headers: { Origin: `https://${host}` } })
    const answer = await refused(url, [], { headers: { Origin: `http://${host}` } })
    expect(answer.status).toBe(403)
    expect(answer.body.toString()).toContain(`Pages of http://${host} may not connect to https://${host}`)
    expect(connections.size).toBe(2)
  })
})

describe('over HTTP/2', () => {
  /** One request of a session, as a browser would send it. */
  async function asked(
    origin: string,
    headers: OutgoingHttpHeaders,
    options: SecureClientSessionOptions = {},
    path = '/?everwire=1',
    body: Uint8Array = bodyOf(new RawClient('').head({ ask: Ask.open, serial: 1 }), [hello()]),
  ): Promise<{ status: number; body: Buffer }> {
    const session = connect(origin, { rejectUnauthorized: false, ...options })
    onTestFinished(() => session.destroy())
    const method = body.length > 0 ? 'POST' : 'GET'
    const stream = session.request({ ':method': method, ':path': path, ...headers })
    if (body.length > 0) stream.end(body)
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>]
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    session.close()
    return { status: Number(answer[constants.HTTP2_HEADER_STATUS]), body: Buffer.concat(chunks) }
  }

  test('the host is that of :authority', async () => {
    const { listener, connections } = mounted({ hosts: ['127.0.0.1', 'a.example'] })
    const server = createServer(listener as never)
    const port = await listen(server as unknown as Server)
    const url = `http://127.0.0.1:${port}`
    for (const own of [url, `https://127.0.0.1:${port}`]) {
      const { status, body } = await asked(url, { origin: own })
      expect([status, body[0]]).toEqual([200, 0xe1])
    }
    expect((await asked(url, { ':authority': 'a.example', origin: 'https://a.example' })).status).toBe(200)
    const foreign = await asked(url, { origin: 'https://evil.example' })
    expect(foreign.status).toBe(403)
    expect(foreign.body.toString()).toContain(`may not connect to 127.0.0.1:${port}. To allow them`)
    const rebound = await asked(url, { ':authority': 'evil.example', origin: 'http://evil.example' })
    expect([rebound.status, rebound.body.toString()]).toEqual([
      403,
      'The host "evil.example" is not one of the server\'s option "hosts"',
    ])
    const script = await asked(url, { ':authority': 'evil.example' }, {}, '/everwire.js', new Uint8Array())
    expect(script.status).toBe(403)
    expect(connections.size).toBe(3)
    const { request } = await connections.next()
    expect(request.headers.host).toBeUndefined()
  })

  test('with TLS, and with HTTP/1 beside it', async () => {
    const { listener, connections } = mounted()
    const server = createSecureServer({ ...selfSigned(), allowHTTP1: true }, listener as never)
    const port = await listen(server as unknown as Server)
    const url = `https://127.0.0.1:${port}`
    expect((await asked(url, { origin: url })).status).toBe(200)
    expect((await asked(url, { origin: `http://127.0.0.1:${port}` })).status).toBe(403)
    expect((await new RawClient(`${url}/`, { Origin: url }).open()).status).toBe(200)
    await plain(`${url}/`, [], { headers: { Origin: url } })
    expect(connections.size).toBe(3)
  })
})

describe('rules', () => {
  const headers = { Origin: 'https://a.example' }

  test('that fail later are heard of, and no page comes in', async () => {
    const fault = new Error('of the application')
    const { url, connections } = await serve({ origins: async () => Promise.reject(fault) })
    let heard = uncaught()
    expect((await new RawClient(url, headers).open()).status).toBe(403)
    expect(await heard).toBe(fault)
    heard = uncaught()
    expect((await refused(url, [], { headers })).status).toBe(403)
    expect([await heard, connections.size]).toEqual([fault, 0])
  })

  test('that take their time are waited for, by every request', async () => {
    const answers = new Queue<(yes: boolean) => void>()
    const { url } = await serve({ origins: () => new Promise<boolean>((resolve) => answers.push(resolve)) })
    const next = async (yes: boolean, status: Promise<{ status: number }>): Promise<number> => {
      const answer = await answers.next()
      answer(yes)
      return (await status).status
    }
    const client = new RawClient(url, headers)
    expect(await next(true, client.open())).toBe(200)
    expect(await next(false, client.send())).toBe(403)
    expect(await next(true, client.send())).toBe(200)
  })

  test('that never answer are not waited for any longer than a handshake is', async () => {
    const { url, connections } = await serve({ origins: () => new Promise(() => {}), handshakeTimeout: 20 })
    const answers = [await new RawClient(url, headers).open(), await refused(url, [], { headers })]
    for (const { status, body } of answers)
      expect([status, body.toString()]).toEqual([503, 'The application did not decide in time'])
    expect(connections.size).toBe(0)
  })

  test('that were changed to what they cannot be let nobody in', async () => {
    const { url, realtime } = await serve({ origins: '*' })
    for (const wrong of [null, undefined, 5, true, [undefined, null, {}]]) {
      realtime.options.origins = wrong as unknown as '*'
      expect((await new RawClient(url, headers).open()).status).toBe(403)
    }
    realtime.options.origins = ['https://a.example']
    expect((await new RawClient(url, headers).open()).status).toBe(200)
  })
})

test('the address of a client that has gone before it was decided about is known', async () => {
  const addresses = new Queue<string | undefined>()
  const { url } = await serve({
    origins: async (_origin, { socket }) => {
      socket.destroy()
      await once(socket, 'close')
      return true
    },
    verifyClient: ({ address }) => {
      addresses.push(address)
      return false
    },
  })
  await expect(plain(url, [], { origin: 'https://a.example' })).rejects.toThrow()
  expect(await addresses.next()).toBe('127.0.0.1')
})

test('the script is for the hosts that may be asked for', async () => {
  const { port } = await serve({ hosts: [`127.0.0.1`] })
  const url = `http://127.0.0.1:${port}/everwire.js`
  expect((await fetchAll(url)).status).toBe(200)
  const answer = await fetchAll(url, { headers: { Host: 'evil.example' } })
  expect([answer.status, answer.body.toString()]).toEqual([
    403,
    'The host "evil.example" is not one of the server\'s option "hosts"',
  ])
  const probe = await fetchAll(marked(`http://127.0.0.1:${port}/`, 'probe.1'), { headers: { Host: 'x' } })
  expect(probe.status).toBe(403)
})
