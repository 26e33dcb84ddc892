// What the application says about a client and cannot be sent: the client has a definite answer, the application an exception that
// names what was wrong, and nothing of it is on the wire. The same on every transport.
import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ServerOptions } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { handshake, talk } from '../support/http.ts'
import { bodyOf, hello, RawClient } from '../support/raw-client.ts'
import { type Serving, serve } from '../support/serving.ts'

const opening = (): RawClient => new RawClient('')

/** The bytes of a request that opens, and that ends its connection where it can. */
const ways: [string, (offered?: string) => string][] = [
  ['an ordinary WebSocket', (offered) => handshake('/realtime', { 'Sec-WebSocket-Protocol': offered })],
  [
    "a session's WebSocket",
    (offered) => {
      const token = opening().token({ ask: Ask.open })
      return handshake('/realtime', {
        'Sec-WebSocket-Protocol': [offered, 'everwire.1', token].filter(Boolean).join(', '),
      })
    },
  ],
  [
    'an HTTP exchange',
    (offered) => {
      const body = bodyOf(opening().head({ ask: Ask.open, serial: 1 }), [
        hello(...(offered ? [offered] : [])),
      ])
      const lines = `Host: a\r\nConnection: close\r\nContent-Length: ${body.length}`
      return `POST /realtime?everwire=1 HTTP/1.1\r\n${lines}\r\n\r\n${body.toString('latin1')}`
    },
  ],
]

interface Said {
  readonly answer: string
  readonly status: number
  readonly faults: Error[]
}

/** Sends it and reads all that comes; what the application throws meanwhile is caught. */
async function say({ port }: Serving, request: string): Promise<Said> {
  const faults: Error[] = []
  const restore = (): void => process.setUncaughtExceptionCaptureCallback(null)
  process.setUncaughtExceptionCaptureCallback((error) => void faults.push(error))
  onTestFinished(restore)
  const answer = await talk(port, Buffer.from(request, 'latin1'))
  await new Promise((resolve) => setImmediate(resolve))
  restore()
  return { answer, status: Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1] ?? 0), faults }
}

type Done = (ok: boolean, code?: never, reason?: never, headers?: never) => void
const says =
  (...args: unknown[]): ServerOptions['verifyClient'] =>
  (_info, done) =>
    void (done as Done)(false, ...(args as never[]))

describe.each(ways)('%s', (_name, request) => {
  test.each<[string, unknown[], string]>([
    ['the status 99', [99], '99'],
    ['the status 101', [101], '101'],
    ['the status 1000', [1000], '1000'],
    ['the status 403.5', [403.5], '403.5'],
    ['the status x', ['x'], "'x'"],
    ['the status NaN', [Number.NaN], 'NaN'],
    ['a reason that is none', [403, { why: 'so' }], "{ why: 'so' }"],
    ['a header with a line break', [403, 'no', { 'X-A': 'b\r\nSet-Cookie: raw=1' }], "'X-A'"],
    ['one of several with a line break', [403, 'no', { 'Set-Cookie': ['a=b', 'c\nraw: 1'] }], "'Set-Cookie'"],
    ['a name that is no token', [403, 'no', { 'X A': 'b' }], "'X A'"],
    ['a name with a line break', [403, 'no', { 'X\r\nraw': 'b' }], inspect('X\r\nraw')],
    ['headers that are none', [403, 'no', 'X-A: b'], "'X-A: b'"],
  ])('verifyClient gives %s', async (_what, args, named) => {
    const serving = await serve({ verifyClient: says(...args) })
    const { answer, status, faults } = await say(serving, request())
    expect(status).toBe(500)
    expect(answer).toMatch(/\r\n\r\nInternal Server Error$/)
    expect(answer).not.toMatch(/raw/)
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining(named)])
    expect(faults[0]?.message).toMatch(/^verifyClient /)
    expect(serving.connections.size).toBe(0)
  })

  test.each<[string, unknown[], number, string]>([
    ['nothing', [], 401, 'Unauthorized'],
    ['nothing at all', [null, null, null], 401, 'Unauthorized'],
    ['0, as it may with ws', [0, ''], 401, 'Unauthorized'],
    ['digits', ['403'], 403, 'Forbidden'],
    ['a reason of several lines', [403, 'one\r\nX-Two: 2'], 403, 'one\r\nX-Two: 2'],
    ['a header without a value', [403, 'no', { 'X-A': undefined }], 403, 'no'],
    ['a length of its own', [403, 'no', { 'content-length': 1 }], 403, 'no'],
    ['what has no body', [204, 'no'], 204, ''],
  ])('verifyClient gives %s', async (_what, args, status, body) => {
    const serving = await serve({ verifyClient: says(...args) })
    const said = await say(serving, request())
    expect([said.status, said.faults]).toEqual([status, []])
    const [head = ''] = said.answer.split('\r\n\r\n', 1)
    expect(said.answer.slice(head.length + 4)).toBe(body)
    expect(head).not.toMatch(/X-Two|X-A|length: 1$/im)
  })

  test('a content type of its own is the only one', async () => {
    const serving = await serve({ verifyClient: says(403, '<p>', { 'content-type': 'text/html' }) })
    const { answer } = await say(serving, request())
    expect(answer.match(/content-type/gi)).toHaveLength(1)
    expect(answer).toMatch(/content-type: text\/html/i)
  })

  test.each<[string, unknown]>([
    ['a line break', 'X-A: b\r\nraw: 1'],
    ['a name that is no token', 'X A: raw'],
    ['no name', ': raw'],
    ['no colon', 'raw'],
    ['nothing', ''],
    ['what is no string', { raw: 1 }],
  ])('a listener for headers adds %s', async (_what, line) => {
    const serving = await serve()
    serving.realtime.on('headers', (headers) => headers.push('X-Fine: yes', line as string))
    const { answer, status, faults } = await say(serving, request())
    expect(status).toBe(500)
    expect(answer).toMatch(/\r\n\r\nInternal Server Error$/)
    expect(answer).not.toMatch(/raw|101|X-Fine/)
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^A listener for "headers" (added|gave)/),
    ])
    expect(serving.connections.size).toBe(0)
  })

  test('a listener for headers throws', async () => {
    const serving = await serve()
    const fault = new Error('of the application')
    serving.realtime.on('headers', () => {
      throw fault
    })
    const { status, faults } = await say(serving, request())
    expect([status, faults]).toEqual([500, [fault]])
    expect(serving.connections.size).toBe(0)
  })

  test.each<[string, unknown]>([
    ['a promise', Promise.resolve('a')],
    ['a number', 7],
    ['a list', ['a']],
  ])('handleProtocols returns %s', async (_what, chosen) => {
    const serving = await serve({ handleProtocols: () => chosen as string })
    const { status, faults } = await say(serving, request('a'))
    expect(status).toBe(500)
    expect(faults.map(({ message }) => message)).toEqual([
      `handleProtocols returned ${inspect(chosen)}; it must return a string or false`,
    ])
  })

  test('what verifyClient throws after it has decided is still its own', async () => {
    const fault = new Error('afterwards')
    for (const verifyClient of [
      (_info: unknown, done: (ok: boolean, code: number) => void) => {
        done(false, 402)
        throw fault
      },
      async (_info: unknown, done: (ok: boolean, code: number) => void) => {
        done(false, 402)
        throw fault
      },
    ]) {
      const { status, faults } = await say(await serve({ verifyClient } as ServerOptions), request())
      expect([status, faults]).toEqual([402, [fault]])
    }
  })

  test.each<[string, ServerOptions['verifyClient']]>([
    [
      'twice',
      (_info, done) => {
        done(false, 402)
        done(true)
      },
    ],
    [
      'and returns a promise',
      async (_info, done) => {
        done(false, 402)
        return true
      },
    ],
  ])('verifyClient calls back %s: the first counts', async (_what, verifyClient) => {
    const serving = await serve({ ...(verifyClient && { verifyClient }) })
    const { status, faults } = await say(serving, request())
    expect([status, faults]).toEqual([402, []])
    expect(serving.connections.size).toBe(0)
  })

  test.each<[string, (late: Promise<boolean>) => ServerOptions['verifyClient']]>([
    ['calls back', (late) => (_info, done) => void late.then(done)],
    ['resolves', (late) => (_info) => late],
    ['rejects', (late) => (_info) => late.then(() => Promise.reject(new Error('late')))],
  ])('verifyClient that %s after handshakeTimeout makes no client', async (what, make) => {
    let answer = (_ok: boolean): void => {}
    const late = new Promise<boolean>((resolve) => {
      answer = resolve
    })
    const verifyClient = make(late)
    const serving = await serve({
      handshakeTimeout: 60,
      maxClients: 1,
      ...(verifyClient && { verifyClient }),
    })
    const said = await say(serving, request())
    expect(said.answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\n\r\nThe application did not decide in time$/)
    const faults: Error[] = []
    process.setUncaughtExceptionCaptureCallback((error) => void faults.push(error))
    onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null))
    answer(true)
    await new Promise((resolve) => setImmediate(resolve))
    process.setUncaughtExceptionCaptureCallback(null)
    expect(faults.map(({ message }) => message)).toEqual(what === 'rejects' ? ['late'] : [])
    expect(serving.connections.size).toBe(0)
    // There is room for another one.
    serving.realtime.options.verifyClient = () => true
    expect((await new RawClient(serving.url).open()).head?.status).toBe(0)
  })

  test('handshakeTimeout 0: the application has all the time it takes', async () => {
    let decide = (): void => {}
    const asked = new Promise<void>((resolve) => {
      decide = resolve
    })
    const serving = await serve({
      handshakeTimeout: 0,
      verifyClient: (_info, done) => {
        decide()
        setTimeout(done, 100, false, 402)
      },
    })
    const said = say(serving, request())
    await asked
    expect((await said).status).toBe(402)
  })
})

test('a listener for wsClientError that throws leaves no client without an answer', async () => {
  const serving = await serve()
  const fault = new Error('of the application')
  serving.realtime.on('wsClientError', () => {
    throw fault
  })
  const { status, faults } = await say(serving, handshake('/realtime', { 'Sec-WebSocket-Key': 'x' }))
  expect([status, faults]).toEqual([500, [fault]])
})

test('a handshake whose headers could not be sent leaves its session to another attempt', async () => {
  const serving = await serve()
  const client = new RawClient(serving.url)
  serving.realtime.once('headers', (headers) => headers.push('no header'))
  const token = client.token({ ask: Ask.open })
  const refused = handshake('/realtime', { 'Sec-WebSocket-Protocol': `everwire.1, ${token}` })
  expect((await say(serving, refused)).status).toBe(500)
  client.renew()
  expect((await client.open()).head?.status).toBe(0)
  await serving.connections.next()
  expect(serving.connections.size).toBe(0)
})
