// Options of everwire/redis: an invalid one throws, and the message names it.
import { createClient, createCluster, createSentinel } from 'redis'
import { expect, test } from 'vitest'
import { redisCluster, redisPublisher } from '../../redis/index.ts'
import { settingsOf } from '../../redis/options.ts'

const url = 'redis://127.0.0.1'

test('defaults', () => {
  expect(settingsOf({ url }, 'x')).toEqual({
    url,
    client: undefined,
    prefix: 'ew:',
    messages: 1_000,
    age: 300_000,
  })
  const history = { messages: 5, age: undefined }
  expect(settingsOf({ url, prefix: '', history }, 'x')).toMatchObject({
    prefix: '',
    messages: 5,
    age: 300_000,
  })
})

test('clients of all kinds', () => {
  const sentinel = { name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }
  for (const client of [createClient(), createCluster({ rootNodes: [] }), createSentinel(sentinel)])
    expect(settingsOf({ client }, 'x').client).toBe(client)
})

test.each<[unknown, string]>([
  [undefined, 'The options of redisCluster() must be an object'],
  [{}, 'redisCluster() needs one of the options "url" and "client"'],
  [{ url, client: createClient() }, 'redisCluster() needs one of the options "url" and "client"'],
  [{ uri: url }, 'Unknown option "uri"; did you mean "url"?'],
  [{ url: 6379 }, 'The option "url" must be a string'],
  [{ url: '127.0.0.1' }, 'The option "url" must be a URL that begins with redis://, rediss:// or unix://'],
  [{ url: 'http://127.0.0.1' }, 'The option "url" must be a URL that begins with'],
  [{ client: {} }, 'The option "client" must be a client of the package "redis"'],
  [{ client: { duplicate() {}, connect() {} } }, 'version 5 or later'],
  [{ url, prefix: 'a{b' }, 'The option "prefix" must not contain { or }'],
  [{ url, prefix: 1 }, 'The option "prefix" must be a string'],
  [{ url, history: 5 }, 'The option "history" must be an object'],
  [{ url, history: { messages: 0 } }, 'The option "history.messages" must be a whole number of at least 1'],
  [{ url, history: { age: '5' } }, 'The option "history.age" must be a whole number of at least 1'],
  [{ url, history: { size: 1 } }, 'Unknown option "history.size"'],
  [{ url, name: 'web 1' }, 'The option "name" must be 1 to 32 letters, digits, - or _'],
  [{ url, listen: { port: -1 } }, 'The option "listen.port" must be a number from 0 to 65535'],
  [{ url, listen: true }, 'The option "listen" must be an object'],
  [{ url, relay: 1 }, 'The option "relay" must be true or false'],
  [{ url, listen: false, relay: false }, 'The option "relay" must not be false with "listen" false'],
  [{ url, address: 'http://10.0.0.5' }, 'The option "address" must be a host and a port'],
  [{ url, address: '10.0.0.5:70000' }, 'The option "address" must be a host and a port'],
  [{ url, secret: 'short' }, 'The option "secret" must have at least 16 characters'],
  [{ url, lease: 100 }, 'The option "lease" must be at least 300'],
  [{ url, atStart: 'never' }, `The option "atStart" must be 'wait' or 'fail'`],
  [{ url, waiting: { bytes: 0 } }, 'The option "waiting.bytes" must be a whole number of at least 1'],
])('%s: %s', (options, message) => {
  expect(() => redisCluster(options as never)).toThrow(message)
})

test('a publisher has options of its own', () => {
  expect(() => redisPublisher({ url, lease: 500 } as never)).toThrow('Unknown option "lease"')
  expect(() => redisPublisher({})).toThrow('redisPublisher() needs one of the options "url" and "client"')
})
