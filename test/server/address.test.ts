// Who a request is from and what it asked for, with proxies in front: what Express says, held beside Express's own.
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import { describe, expect, test } from 'vitest'
import {
  addressOf,
  compileTrust,
  countedAs,
  hostOf,
  knowsProxies,
  mayBeProxy,
  schemeOf,
  type TrustProxy,
} from '../../server/admission/address.ts'
import { uncaught } from '../support/faults.ts'

const proxyAddr = createRequire(createRequire(import.meta.url).resolve('express'))('proxy-addr') as (
  request: object,
  trust: unknown,
) => string

interface Asked {
  readonly from?: string | undefined
  readonly headers?: Record<string, string>
  readonly encrypted?: boolean
  readonly app?: unknown
  readonly version?: number
}

function asked({ from = '127.0.0.1', headers = {}, encrypted, app, version = 1 }: Asked): IncomingMessage {
  const socket = { remoteAddress: from, encrypted }
  return { socket, connection: socket, headers, httpVersionMajor: version, app } as unknown as IncomingMessage
}

const through = (forwarded: string, from?: string): IncomingMessage =>
  asked({ from, headers: { 'x-forwarded-for': forwarded } })

describe('the address', () => {
  const chain = '203.0.113.7, 198.51.100.2, 10.1.2.3'
  const trusts: [TrustProxy, string][] = [
    [false, '127.0.0.1'],
    [true, '203.0.113.7'],
    [0, '127.0.0.1'],
    [1, '10.1.2.3'],
    [2, '198.51.100.2'],
    [9, '203.0.113.7'],
    ['loopback', '10.1.2.3'],
    ['loopback, uniquelocal', '198.51.100.2'],
    [['loopback', '10.0.0.0/8', '198.51.100.0/255.255.255.0'], '203.0.113.7'],
    [['127.0.0.1', '10.1.2.4'], '10.1.2.3'],
    [['::ffff:127.0.0.1', '::ffff:10.1.0.0/112'], '198.51.100.2'],
    [['fe80::/10'], '127.0.0.1'],
    [[], '127.0.0.1'],
    [(address, hop) => address.startsWith('1') && hop < 2, '198.51.100.2'],
  ]
  test.each(trusts)('with %j it is %s, as Express has it', (trustProxy, address) => {
    expect(addressOf(through(chain), { trustProxy })).toBe(address)
    const app = express().set('trust proxy', trustProxy)
    expect(proxyAddr(through(chain), app.get('trust proxy fn'))).toBe(address)
  })

  test('is one and the same however it is written', () => {
    const written = ['::ffff:203.0.113.7', '::FFFF:cb00:7107', '203.0.113.7:4711', ' 203.0.113.7 ']
    for (const one of written) expect(addressOf(through(one), { trustProxy: 1 })).toBe('203.0.113.7')
    expect(addressOf(through('[2001:DB8::1]:443'), { trustProxy: 1 })).toBe('2001:db8::1')
    expect(addressOf(through('fe80::1%eth0'), { trustProxy: 1 })).toBe('fe80::1')
    expect(addressOf(through('203.0.113.7', '::ffff:127.0.0.1'), { trustProxy: 'loopback' })).toBe(
      '203.0.113.7',
    )
    expect(addressOf(asked({ from: '::ffff:192.0.2.1' }), {})).toBe('192.0.2.1')
  })

  test('is never what is none: the chain ends there', () => {
    for (const junk of ['unknown', '', 'x'.repeat(10_000), '1.2.3', '999.1.1.1', '203.0.113.7, _hidden'])
      expect(addressOf(through(junk), { trustProxy: true })).toBe('127.0.0.1')
    expect(addressOf(through('nonsense, 203.0.113.7'), { trustProxy: true })).toBe('203.0.113.7')
    const gone = asked({})
    Object.assign(gone.socket, { remoteAddress: undefined })
    expect(addressOf(gone, {})).toBe('')
  })

  test('counts in networks of 64 bits with IPv6', () => {
    expect(countedAs('203.0.113.7')).toBe('203.0.113.7')
    const same = ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:0db8:0001:0002:0:0:0:9']
    expect(new Set(same.map(countedAs))).toEqual(new Set(['2001:db8:1:2::/64']))
    expect(countedAs('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64')
    expect([countedAs('::1'), countedAs('2001:db8::1'), countedAs('')]).toEqual([
      '0:0:0:0::/64',
      '2001:db8:0:0::/64',
      '',
    ])
  })

  test('may be a proxy where it is no address of the internet', () => {
    const local = ['', '127.0.0.1', '::1', '10.1.1.1', '172.20.0.1', '192.168.1.1', '169.254.1.1', 'fd00::1']
    expect(local.filter(mayBeProxy)).toEqual(local)
    expect(['203.0.113.7', '2001:db8::1', '172.32.0.1'].filter(mayBeProxy)).toEqual([])
  })
})

describe('the application of Express', () => {
  const app = (setting?: unknown): unknown => {
    const made = express()
    if (setting !== undefined) made.set('trust proxy', setting)
    return made
  }
  const headers = {
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-host': 'a.example',
    'x-forwarded-proto': 'https',
    host: 'inner:3000',
  }
  const seen = (request: IncomingMessage, options: { trustProxy?: TrustProxy }) => [
    addressOf(request, options),
    hostOf(request, options),
    schemeOf(request, options),
    knowsProxies(request, options),
  ]

  test('says whose word is taken, unless the option does', () => {
    const nobody = ['127.0.0.1', 'inner:3000', undefined]
    const everything = ['203.0.113.7', 'a.example', 'https']
    expect(seen(asked({ headers }), {})).toEqual([...nobody, false])
    expect(seen(asked({ headers, app: app() }), {})).toEqual([...nobody, false])
    expect(seen(asked({ headers, app: app('10.0.0.0/8') }), {})).toEqual([...nobody, true])
    for (const setting of [true, 1, 'loopback', () => true])
      expect(seen(asked({ headers, app: app(setting) }), {})).toEqual([...everything, true])
    expect(seen(asked({ headers, app: app(true) }), { trustProxy: false })).toEqual([...nobody, true])
    expect(seen(asked({ headers, app: app(false) }), { trustProxy: true })).toEqual([...everything, true])
  })

  test('is not anything that is called `app`', () => {
    for (const other of [null, 'app', {}, { get: () => 'yes' }])
      expect(seen(asked({ headers, app: other }), {})[0]).toBe('127.0.0.1')
  })
})

describe('host and scheme', () => {
  test('are the first of several', () => {
    const headers = { 'x-forwarded-host': 'a.example, b.example', 'x-forwarded-proto': 'https, http' }
    expect(hostOf(asked({ headers }), { trustProxy: 1 })).toBe('a.example')
    expect(schemeOf(asked({ headers }), { trustProxy: 1 })).toBe('https')
  })

  test('of a WebSocket may be said in its own words', () => {
    const said = ['wss', 'ws', 'HTTPS', 'http', 'gopher', '']
    const schemes = said.map((one) =>
      schemeOf(asked({ headers: { 'x-forwarded-proto': one } }), { trustProxy: true }),
    )
    expect(schemes).toEqual(['https', 'http', 'https', 'http', undefined, undefined])
  })

  test('of a connection with TLS is known', () => {
    expect(schemeOf(asked({ encrypted: true }), {})).toBe('https')
    expect(schemeOf(asked({ encrypted: true, headers: { 'x-forwarded-proto': 'http' } }), {})).toBe('https')
    expect(schemeOf(asked({}), {})).toBeUndefined()
  })

  test('HTTP/2 has the host beside the headers, HTTP/1 has not', () => {
    const headers = { ':authority': 'a.example', host: 'b.example' }
    expect(hostOf(asked({ headers, version: 2 }), {})).toBe('a.example')
    expect(hostOf(asked({ headers, version: 1 }), {})).toBe('b.example')
    expect(hostOf(asked({ headers: { host: 'b.example' }, version: 2 }), {})).toBe('b.example')
    expect(hostOf(asked({}), {})).toBe('')
  })
})

describe('wrong use', () => {
  test.each<[unknown]>([
    [-1],
    [1.5],
    [Number.NaN],
    [null],
    [{}],
    [''],
    ['localhost'],
    ['10.0.0.0/33'],
    ['10.0.0.0/0'],
    ['10.0.0.0/-1'],
    ['10.0.0.0/8/8'],
    ['10.0.0.0/255.0.255.0'],
    ['::/129'],
    ['constructor'],
    [['10.0.0.1', 5]],
  ])('%j is refused', (given) => {
    expect(() => compileTrust(given)).toThrow('"trustProxy"')
  })

  test('a function that throws is heard of, and believes nobody', async () => {
    const fault = new Error('of the application')
    const heard = uncaught()
    const trustProxy = (): boolean => {
      throw fault
    }
    expect(addressOf(through('203.0.113.7'), { trustProxy })).toBe('127.0.0.1')
    expect(await heard).toBe(fault)
  })

  test('only true is yes', () => {
    const trustProxy = (async () => false) as unknown as () => boolean
    expect(addressOf(through('203.0.113.7'), { trustProxy })).toBe('127.0.0.1')
  })

  test('what is changed later counts', () => {
    const options: { trustProxy: TrustProxy } = { trustProxy: 1 }
    expect(addressOf(through('203.0.113.7'), options)).toBe('203.0.113.7')
    options.trustProxy = 'uniquelocal'
    expect(addressOf(through('203.0.113.7'), options)).toBe('127.0.0.1')
  })
})
