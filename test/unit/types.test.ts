// One name of a type, one shape, in all entries; and what is typed for `ws` is typed for everwire/ws. The compiler is the
// judge, in `npm run check`: when this file runs, its assertions pass whatever the types are.
import { expectTypeOf, test } from 'vitest'
import type * as OfWs from 'ws'
import type * as InBrowser from '../../client/browser.ts'
import type * as InReactNative from '../../client/native.ts'
import type * as InNode from '../../client/node.ts'
import type * as DoctorInBrowser from '../../doctor/browser.ts'
import type * as DoctorInNode from '../../doctor/node.ts'
import type * as Server from '../../server/index.ts'
import type * as Ws from '../../ws/index.ts'

/** True if each may stand for the other. */
type Same<A, B> = [A, B] extends [B, A] ? true : false

test('client and server', () => {
  expectTypeOf<Same<InBrowser.Transport, Server.Transport>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InBrowser.CloseEntry, Server.CloseEntry>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.PerMessageDeflateOptions, Server.PerMessageDeflateOptions>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.RawData, Server.RawData>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.SendCallback, Server.SendCallback>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.SendOptions, Server.SendOptions>>().toEqualTypeOf<true>()
})

test('everwire/ws and @types/ws', () => {
  expectTypeOf<Same<Ws.Data, OfWs.Data>>().toEqualTypeOf<true>()
  expectTypeOf<Same<Ws.RawData, OfWs.RawData>>().toEqualTypeOf<true>()
  expectTypeOf<Same<Ws.PerMessageDeflateOptions, OfWs.PerMessageDeflateOptions>>().toEqualTypeOf<true>()
  // Ours have more options. What is handed to `finishRequest` is a socket of ours.
  expectTypeOf<Omit<OfWs.ClientOptions, 'finishRequest'>>().toExtend<Ws.ClientOptions>()
  expectTypeOf<OfWs.ServerOptions>().toExtend<Ws.ServerOptions>()
})

test('a client in a browser, in React Native and in Node', () => {
  expectTypeOf<Same<InReactNative.DiaryEntry, InBrowser.DiaryEntry>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.DiaryEntry, InBrowser.DiaryEntry>>().toEqualTypeOf<true>()
  // Node and React Native have options that a browser cannot have.
  expectTypeOf<InReactNative.WebSocketOptions>().toExtend<InBrowser.WebSocketOptions>()
  expectTypeOf<InNode.WebSocketOptions>().toExtend<InBrowser.WebSocketOptions>()
  expectTypeOf<DoctorInNode.ExamineOptions>().toExtend<DoctorInBrowser.ExamineOptions>()
})
