// Public names are a budget: each is a promise. A new one is added here on purpose.
import { expect, test } from 'vitest'
import * as inReactNative from '../../client/native.ts'
import * as client from '../../client/node.ts'
import * as doctorInBrowsers from '../../doctor/browser.ts'
import * as doctor from '../../doctor/node.ts'
import * as server from '../../server/index.ts'
import * as testing from '../../testing/index.ts'
import * as ws from '../../ws/index.ts'

test('the package exports these values and no others', () => {
  for (const entry of [client, inReactNative]) expect(Object.keys(entry)).toEqual(['WebSocket'])
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
  expect(Object.keys(testing)).toEqual(['hostileNetwork'])
  for (const entry of [doctor, doctorInBrowsers]) expect(Object.keys(entry)).toEqual(['examine'])
})
