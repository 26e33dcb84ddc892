// Options that cannot be meant: they throw where the socket is made, and the message names them.
import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { WebSocket as AsInWs } from '../../ws/index.ts'
import { serve } from '../support/serving.ts'

const url = 'ws://127.0.0.1:1/'
const infinite = Number.POSITIVE_INFINITY

describe.each([
  ['the class of everwire', WebSocket],
  ['the class of everwire/ws', AsInWs],
])('%s', (_name, Class) => {
  const make = (options: object): unknown => new Class(url, options as never)

  test.each<[object, typeof Error, string]>([
    [{ patience: -1 }, RangeError, '"patience"'],
    [{ patience: '5s' }, TypeError, '"patience"'],
    [{ patience: Number.NaN }, RangeError, '"patience"'],
    [{ connectTimeout: null }, TypeError, '"connectTimeout"'],
    [{ handshakeTimeout: -5 }, RangeError, '"handshakeTimeout"'],
    [{ maxBuffered: -1 }, RangeError, '"maxBuffered"'],
    [{ maxPayload: '1 MB' }, TypeError, '"maxPayload"'],
    [{ transports: ['foo'] }, TypeError, "'foo'"],
    [{ transports: 'polling' }, TypeError, '"transports"'],
    [{ transports: [] }, TypeError, '"transports"'],
    [{ raceDelay: -1 }, RangeError, '"raceDelay"'],
    [{ raceDelay: '300' }, TypeError, '"raceDelay"'],
    [{ raceDelay: { start: 'x' } }, TypeError, '"raceDelay.start"'],
    [{ raceDelay: { begin: 5 } }, TypeError, '"raceDelay.begin"'],
    [{ reconnectionDelay: 500 }, TypeError, '"reconnectionDelay"'],
    [{ reconnectionDelay: { max: -1 } }, RangeError, '"reconnectionDelay.max"'],
    [{ reconnectionDelay: { start: 5 } }, TypeError, '"reconnectionDelay.start"'],
    [{ reconectionDelay: {} }, TypeError, '; did you mean "reconnectionDelay"?'],
    [{ remember: 'no' }, TypeError, '"remember"'],
    [{ session: 0 }, TypeError, '"session"'],
    [{ headers: new Headers({ Authorization: 'me' }) }, TypeError, '"headers"'],
    [{ headers: new Map([['Authorization', 'me']]) }, TypeError, 'Object.fromEntries'],
    [{ headers: ['Authorization', 'me'] }, TypeError, '"headers"'],
    [{ transport: ['polling'] }, TypeError, '; did you mean "transports"?'],
    [{ patiense: 5 }, TypeError, '; did you mean "patience"?'],
    [{ maxpayload: 5 }, TypeError, '; did you mean "maxPayload"?'],
    [{ racedelay: 5 }, TypeError, '; did you mean "raceDelay"?'],
  ])('%o', (options, kind, text) => {
    expect(() => make(options)).toThrow(kind)
    expect(() => make(options)).toThrow(text)
  })

  test('what may be meant is taken, and what is for ws, TLS and sockets', () => {
    const given = [
      { patience: infinite, maxPayload: 0, maxBuffered: infinite, connectTimeout: 0, raceDelay: 0 },
      { patience: undefined, transports: undefined, raceDelay: { start: undefined, max: 5 } },
      { reconnectionDelay: { min: 0, max: undefined } },
      {
        timeout: 5,
        host: 'a',
        port: 1,
        path: '/',
        protocol: 'ws:',
        localPort: 0,
        family: 4,
        servername: 'a',
      },
      {
        ca: '',
        cert: '',
        key: '',
        passphrase: '',
        ALPNProtocols: [],
        minVersion: 'TLSv1.2',
        keepAlive: true,
      },
      { session: Buffer.alloc(0), somethingElse: 1 },
    ]
    for (const options of given) {
      const socket = make({ ...options, agent: undefined }) as WebSocket
      socket.onerror = () => {}
      socket.close()
    }
  })
})

test.each(['websocket', 'stream', 'sse', 'polling'] as const)(
  '%s: a header that HTTP forbids fails with the error of Node',
  async (transport) => {
    const socket = new WebSocket(url, [], { transports: [transport], headers: { 'a name': '' } })
    const errors: unknown[] = []
    socket.on('error', (error) => errors.push(error))
    await new Promise((resolve) => socket.on('close', resolve))
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_INVALID_HTTP_TOKEN' })])
  },
)

test.each<[string, WebSocketOptions]>([
  ['over HTTP', { transports: ['polling'] }],
  ['with session: false', { session: false, closeTimeout: infinite }],
])('a time that is longer than a timer can be is no short one, %s', async (_how, options) => {
  const { url, connections } = await serve()
  // Node warns of a timer that will ring at once.
  const warnings = vi.spyOn(process, 'emitWarning')
  onTestFinished(() => void warnings.mockRestore())
  const socket = new WebSocket(url, [], { connectTimeout: infinite, ...options })
  const first = await Promise.race([
    once(socket, 'open').then(() => 'open'),
    once(socket, 'close').then(() => 'close'),
  ])
  expect(first).toBe('open')
  await connections.next()
  const closed = once(socket, 'close')
  socket.close()
  await closed
  expect(warnings).not.toHaveBeenCalled()
})
