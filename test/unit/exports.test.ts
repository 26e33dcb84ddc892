// Public names are a budget: each is a promise. A new one is added here on purpose.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as inReactNative from '../../client/native.ts'
import * as client from '../../client/node.ts'
import * as reopeningInNode from '../../client/node-reopen.ts'
import * as reopeningInReactNative from '../../client/reopen-native.ts'
import * as doctorInBrowsers from '../../doctor/browser.ts'
import * as doctor from '../../doctor/node.ts'
import * as events from '../../events/index.ts'
import * as prometheus from '../../prometheus/index.ts'
import * as redis from '../../redis/index.ts'
import * as server from '../../server/index.ts'
import * as testing from '../../testing/index.ts'
import * as ws from '../../ws/index.ts'

test('the package exports these values and no others', () => {
  for (const entry of [client, inReactNative, reopeningInNode, reopeningInReactNative])
    expect(Object.keys(entry)).toEqual(['WebSocket'])
  const ofServer = ['Socket', 'WebSocketServer', 'attachFallbacks', 'createWebSocketStream']
  expect(Object.keys(server).sort()).toEqual(ofServer)
  // The names of `ws`, and nothing else.
  const ofWs = [
    'Server',
    'WebSocket',
    'WebSocketServer',
    'createWebSocketStream',
    'default',
    'module.exports',
  ]
  expect(Object.keys(ws).sort()).toEqual(ofWs)
  expect(Object.keys(prometheus)).toEqual(['registerMetrics'])
  expect(Object.keys(redis)).toEqual(['redisCluster', 'redisPublisher'])
  expect(Object.keys(events).sort()).toEqual(['EventError', 'encode', 'events'])
  expect(Object.keys(testing)).toEqual(['hostileNetwork'])
  for (const entry of [doctor, doctorInBrowsers])
    expect(Object.keys(entry).sort()).toEqual(['examine', 'formatDiary', 'logDiary'])
})

const typesOfDoctor = [
  'AnyDiary',
  'BodyReport',
  'Cause',
  'ExamineOptions',
  'Hindrance',
  'Outcome',
  'Plan',
  'Progress',
  'Report',
  'ServerReport',
  'TransportReport',
]
const typesOfClient = [
  'CarrierEntry',
  'CloseEntry',
  'CloseEvent',
  'DiaryEntry',
  'NetworkFinding',
  'NetworkSignal',
  'RaceDelay',
  'Status',
  'Transport',
  'WebSocketEventMap',
  'WebSocketOptions',
]
const typesOfNode = ['PerMessageDeflateOptions', 'RawData', 'SendCallback', 'SendOptions', 'WebSocketEvents']
const types: Readonly<Record<string, readonly string[]>> = {
  'client/browser.ts': typesOfClient,
  'client/native.ts': typesOfClient,
  'client/node.ts': [...typesOfClient, ...typesOfNode],
  'client/reopen.ts': [...typesOfClient, 'ReopenOptions'],
  'client/reopen-native.ts': [...typesOfClient, 'ReopenOptions'],
  'client/node-reopen.ts': [...typesOfClient, ...typesOfNode, 'ReopenOptions'],
  'server/index.ts': [
    'ByTransport',
    'ClientInfo',
    'CloseEntry',
    'CloseOptions',
    'Cluster',
    'ClusterClient',
    'ClusterClients',
    'ClusterCount',
    'ClusterState',
    'ClusterStats',
    'DrainOptions',
    'EndReason',
    'Except',
    'FetchOptions',
    'HttpCompressionOptions',
    'MessageCount',
    'Middleware',
    'OriginRule',
    'Origins',
    'PerMessageDeflateOptions',
    'PublishOptions',
    'RateLimit',
    'RawData',
    'SendCallback',
    'SendData',
    'SendOptions',
    'ServerCarrierEntry',
    'ServerChannels',
    'ServerDiaryEntry',
    'ServerEvents',
    'ServerOptions',
    'ServerStats',
    'SocketEvents',
    'SocketListener',
    'SocketListenerEvent',
    'StatusPageOptions',
    'TopicChange',
    'Transport',
    'TrustProxy',
    'UpgradeCallback',
    'VerifyClient',
    'VerifyClientCallback',
  ],
  // The names of `@types/ws`.
  'ws/index.ts': ['ClientOptions', 'Data', 'PerMessageDeflateOptions', 'RawData', 'ServerOptions'],
  'prometheus/index.ts': ['MetricsOptions', 'MetricsRegistry'],
  'redis/index.ts': [
    'Publisher',
    'RedisClient',
    'RedisClusterOptions',
    'RedisHistory',
    'RedisOptions',
    'RedisPublisherOptions',
  ],
  'events/index.ts': [
    'AskOptions',
    'EventArguments',
    'EventFault',
    'EventMap',
    'EventSocket',
    'Events',
    'EventsOptions',
  ],
  'testing/index.ts': [
    'Connection',
    'Direction',
    'Faults',
    'HostileNetwork',
    'HostileNetworkEvents',
    'HostileNetworkOptions',
    'Target',
  ],
  'doctor/browser.ts': typesOfDoctor,
  'doctor/node.ts': typesOfDoctor,
}

/** The names of types that an entry exports, from the text of its `export`s: a type is nothing that a test could import. */
function exportedTypes(entry: string): string[] {
  const text = readFileSync(new URL(`../../${entry}`, import.meta.url), 'utf8').replace(/\/\*.*?\*\//gs, '')
  // Every form that exports is one of those below, or declares a value.
  expect(text).not.toMatch(/^export \*|^export (default|namespace|enum|declare)\b/m)
  const names: string[] = []
  for (const [, ofTypes, list = ''] of text.matchAll(/^export (type )?\{([^}]*)\}/gm)) {
    for (const item of list.split(',')) {
      const [, isType, name] = /^\s*(type )?(?:\w+ as )?(\w+)\s*$/.exec(item) ?? []
      if (name && (ofTypes || isType)) names.push(name)
    }
  }
  const declared = [...text.matchAll(/^export (?:type|interface) (\w+)/gm)].flatMap(([, name]) => name ?? [])
  const values = [...text.matchAll(/^export (?:const|class|(?:async )?function) (\w+)/gm)].map(
    ([, name]) => name,
  )
  return [...names, ...declared.filter((name) => !values.includes(name))].sort()
}

test.each(Object.entries(types))('%s exports these types and no others', (entry, expected) => {
  expect(exportedTypes(entry)).toEqual([...expected].sort())
})
