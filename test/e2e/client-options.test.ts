// Options that cannot be meant: they throw where the socket is made, and the message names them.
import { describe, expect, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocket as AsInWs } from '../../ws/index.ts'

const url = 'ws://127.0.0.1:1/'

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
    [{ transport: ['polling'] }, TypeError, '; did you mean "transports"?'],
    [{ patiense: 5 }, TypeError, '; did you mean "patience"?'],
    [{ maxpayload: 5 }, TypeError, '; did you mean "maxPayload"?'],
    [{ racedelay: 5 }, TypeError, '; did you mean "raceDelay"?'],
  ])('%o', (options, kind, text) => {
    expect(() => make(options)).toThrow(kind)
    expect(() => make(options)).toThrow(text)
  })

  test('what may be meant is taken, and what is for ws, TLS and sockets', () => {
    const infinite = Number.POSITIVE_INFINITY
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
