// A server is told at once what it cannot mean, by the name of the option; nothing that `ws` takes is refused.
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocketServer as OfWs } from 'ws'
import { Socket, WebSocketServer } from '../../server/index.ts'
import { plain } from '../support/plain-client.ts'
import { end, serve } from '../support/serving.ts'

function make(options: unknown): WebSocketServer {
  const realtime = new WebSocketServer(options as object)
  onTestFinished(() => end(realtime))
  return realtime
}

const refusedWith = (options: object): string => {
  try {
    make({ noServer: true, ...options })
  } catch (error) {
    expect(error).toSatisfy((it) => it instanceof TypeError || it instanceof RangeError)
    return (error as Error).message
  }
  return 'taken'
}

describe('names', () => {
  test.each([
    ['prot', '; did you mean "port"?'],
    ['Patience', '; did you mean "patience"?'],
    ['maxPaylaod', '; did you mean "maxPayload"?'],
    ['origin', '; did you mean "origins"?'],
    ['heartBeat', '; did you mean "heartbeat"?'],
    ['maxClientPerAdress', '; did you mean "maxClientsPerAddress"?'],
    ['handlerProtocol', '; did you mean "handleProtocols"?'],
    ['cookieSecret', ''],
    ['constructor', ''],
  ])('%s is unknown', (name, hint) => {
    expect(refusedWith({ [name]: 3000 })).toBe(`Unknown option "${name}"${hint}`)
    expect(() => make({ [name]: 3000 })).toThrow(TypeError)
  })

  test('of what is inside of an option, too', () => {
    expect(refusedWith({ perMessageDeflate: { treshold: 1 } })).toBe(
      'Unknown option "perMessageDeflate.treshold"; did you mean "perMessageDeflate.threshold"?',
    )
    expect(refusedWith({ httpCompression: { levl: 1 } })).toBe(
      'Unknown option "httpCompression.levl"; did you mean "httpCompression.level"?',
    )
    expect(refusedWith({ rateLimit: { messages: 1, pre: 1 } })).toBe(
      'Unknown option "rateLimit.pre"; did you mean "rateLimit.per"?',
    )
  })

  test('that say nothing are not looked at', () => {
    expect(refusedWith({ [Symbol('own')]: 1, patience: undefined })).toBe('taken')
  })

  test('of `ws` are known, all of them, also with what `ws` gives them', () => {
    const theirs = new OfWs({ noServer: true })
    const { options } = theirs
    expect(Object.keys(options).length).toBeGreaterThan(15)
    const { WebSocket: _, ...taken } = options
    make(taken)
    make({ ...taken, WebSocket: Socket })
    for (const name of Object.keys(options)) make({ [name]: undefined })
    theirs.close()
  })

  test('of `ws` with null are as if they were left out', () => {
    const none = { port: null, server: null, host: null, path: null, backlog: null, noServer: null }
    const realtime = make({ ...none, verifyClient: null, handleProtocols: null, WebSocket: null })
    expect(realtime.options).toMatchObject({ noServer: true })
    expect(realtime.options.path).toBeUndefined()
  })

  test('an empty path is any, as in `ws`', () => {
    expect(make({ path: '' }).options.path).toBeUndefined()
  })
})

describe('values', () => {
  const wrong: [string, unknown[]][] = [
    ['port', [-1, 1.5, 65_536, '', 'x', true, {}]],
    ['host', [1, {}]],
    ['backlog', ['x', -1]],
    ['server', [1, {}, 'x']],
    ['noServer', ['yes', 1]],
    ['path', [1, /x/]],
    ['verifyClient', [true, {}, 'x']],
    ['handleProtocols', [['a'], 'a']],
    ['maxPayload', ['1', -1, Number.NaN]],
    ['perMessageDeflate', ['on', 1, null, []].filter((one) => one !== null)],
    ['clientTracking', [0, 'no']],
    ['autoPong', [0]],
    ['allowSynchronousEvents', ['no']],
    ['skipUTF8Validation', [1]],
    ['closeTimeout', ['1s', -1]],
    ['maxFragments', ['x']],
    ['maxBufferedChunks', [-1]],
    ['maxPendingAutoPongs', [{}]],
    ['WebSocket', [1, 'x', class {}]],
    ['origins', [null, true, 1, {}, '', [undefined], [null], [['https://a.example']]]],
    ['hosts', [null, 'a.example', [], [''], ['https://a.example'], ['a.example/x'], ['*.a.example'], [1]]],
    ['trustProxy', [null, -1, 'localhost', ['10.0.0.0/99'], {}]],
    ['patience', ['5s', -1, Number.POSITIVE_INFINITY]],
    ['heartbeat', ['200', 99, -1, Number.NaN]],
    ['maxBuffered', [null]],
    ['maxBody', [255]],
    ['maxClients', ['many']],
    ['maxClientsPerAddress', [-1, '5']],
    ['maxMemory', ['1g']],
    ['rateLimit', [null, 5, {}, { messages: 0 }, { messages: 'x' }, { messages: 1, per: 0 }]],
    ['handshakeTimeout', [null, -1]],
    ['bodyTimeout', ['x']],
    ['openTimeout', [-1]],
    ['answerTimeout', [true]],
    ['serveClient', ['yes', null]],
    ['httpCompression', ['gzip', 1, { level: 99 }, { threshold: -1 }, { windowBits: 'x' }]],
    ['diagnostics', [0]],
    ['statusPage', [true, { addresses: 1 }, { address: true }]],
  ]
  test.each(wrong)('of %s', (name, values) => {
    for (const value of values) {
      const place = name === 'port' || name === 'server' ? { noServer: undefined } : {}
      expect([value, refusedWith({ ...place, [name]: value })]).toEqual([
        value,
        expect.stringContaining(`"${name}`),
      ])
    }
  })

  test('of what is inside of an option', () => {
    for (const [name, value] of [
      ['serverMaxWindowBits', 7],
      ['clientMaxWindowBits', 'x'],
      ['threshold', -1],
      ['concurrencyLimit', 0],
      ['serverNoContextTakeover', 'yes'],
      ['zlibDeflateOptions', 9],
    ] as const)
      expect(refusedWith({ perMessageDeflate: { [name]: value } })).toContain(`"perMessageDeflate.${name}"`)
  })

  test('that are right are taken', () => {
    make({ server: createServer() })
    const deflate = {
      zlibDeflateOptions: { level: 3 },
      zlibInflateOptions: { chunkSize: 10_240 },
      clientMaxWindowBits: true,
      serverMaxWindowBits: 10,
      threshold: 0,
    }
    for (const options of [
      { perMessageDeflate: deflate, httpCompression: { level: 9, threshold: 0, memLevel: 9 } },
      { rateLimit: { messages: 5 }, hosts: ['localhost:3000', '[::1]'], trustProxy: ['loopback', '::1'] },
      { rateLimit: { messages: 0.5, per: 1 }, maxClientsPerAddress: Number.POSITIVE_INFINITY },
      { httpCompression: true, perMessageDeflate: false, maxPayload: 0, backlog: 5, host: '::' },
    ])
      make(options)
  })

  test('a closeTimeout that is longer than a timer can be is no short one', async () => {
    const { realtime, url, connections } = await serve({ closeTimeout: Number.POSITIVE_INFINITY })
    const client = await plain(url)
    const { socket } = await connections.next()
    client.pause()
    // Node warns of a timer that will ring at once.
    const warnings = vi.spyOn(process, 'emitWarning')
    onTestFinished(() => void warnings.mockRestore())
    socket.close(4000)
    expect(warnings).not.toHaveBeenCalled()
    expect(realtime.clients.size).toBe(1)
    client.terminate()
  })

  test('options that are none', () => {
    for (const none of [null, 'x', 5, []]) expect(() => make(none)).toThrow('must be an object')
  })
})

describe('origins that no page has', () => {
  test.each([
    ['app.example.com', '"https://app.example.com"'],
    ['localhost:3000', '"https://localhost:3000"'],
    ['https://a.example/path', '"https://a.example"'],
    ['https://a.example?x', '"https://a.example"'],
    ['https://a.example:443', '"https://a.example"'],
    ['https://me@a.example', '"https://a.example"'],
    ['https://bücher.example', '"https://xn--bcher-kva.example"'],
    ['https://*.example.com', String.raw`the pattern /^https:\/\/[a-z0-9.-]+\.example\.com$/`],
    ['*.example.com', String.raw`the pattern /^https:\/\/[a-z0-9.-]+\.example\.com$/`],
    ['http://localhost:*', String.raw`the pattern /^http:\/\/localhost:\d+$/`],
    ['capacitor://localhost/index.html', '"scheme://host"'],
  ])('%s: write %s', (rule, better) => {
    const message = `No page has the origin ${JSON.stringify(rule)} of the option "origins". Write ${better}`
    expect(refusedWith({ origins: rule })).toBe(message)
    expect(refusedWith({ origins: ['same', rule] })).toBe(message)
  })

  test('the pattern that is proposed is right', () => {
    const [, text = ''] = /pattern \/(.*)\/$/.exec(refusedWith({ origins: 'https://*.example.com' })) ?? []
    const pattern = new RegExp(text)
    const origins = ['https://a.example.com', 'https://a.b.example.com']
    const others = ['https://example.com', 'https://a.example.com.evil.example', 'https://axexample.com']
    expect([...origins, ...others].filter((one) => pattern.test(one))).toEqual(origins)
  })

  test.each([
    'https://A.example/',
    'http://localhost:3000',
    'null',
    'capacitor://localhost',
    'file://',
    '*',
    'same',
  ])('%s is none of them', (rule) => expect(refusedWith({ origins: rule })).toBe('taken'))
})
