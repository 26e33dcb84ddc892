// One name of a type, one shape, in all entries; and what is typed for `ws` is typed for everwire/ws. The compiler is the
// judge, in `npm run check`: when this file runs, its assertions pass whatever the types are.
import { expectTypeOf, test } from 'vitest'
import type * as OfWs from 'ws'
import type * as InBrowser from '../../client/browser.ts'
import type * as InReactNative from '../../client/native.ts'
import type * as InNode from '../../client/node.ts'
import type * as DoctorInBrowser from '../../doctor/browser.ts'
import type * as DoctorInNode from '../../doctor/node.ts'
import { type EventSocket, type Events, encode, events } from '../../events/index.ts'
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
  // Ours have more options. What is handed to `finishRequest` is a socket of ours. Node wants an error of the other, no boolean.
  type Other = 'finishRequest' | 'checkServerIdentity'
  expectTypeOf<Omit<OfWs.ClientOptions, Other>>().toExtend<Ws.ClientOptions>()
  expectTypeOf<OfWs.ServerOptions>().toExtend<Ws.ServerOptions>()
  expectTypeOf(connectAsInWs).returns.toBeVoid()
})

// Nobody calls it: it is for the compiler.
function connectAsInWs(Class: typeof Ws.WebSocket): void {
  const socket = new Class('wss://localhost', {
    checkServerIdentity: (host, { fingerprint256 }) =>
      fingerprint256 === 'AA:BB' ? undefined : new Error(`Not the certificate of ${host}`),
  })
  socket.onerror = ({ message, error }) => expectTypeOf([message, error?.message]).toExtend<unknown[]>()
  socket.addEventListener('error', ({ message = '' }) => expectTypeOf(message).toBeString())
  socket.on('error', ({ message }) => expectTypeOf(message).toBeString())
}

test('a client in a browser, in React Native and in Node', () => {
  expectTypeOf<Same<InReactNative.DiaryEntry, InBrowser.DiaryEntry>>().toEqualTypeOf<true>()
  expectTypeOf<Same<InNode.DiaryEntry, InBrowser.DiaryEntry>>().toEqualTypeOf<true>()
  // Node and React Native have options that a browser cannot have.
  expectTypeOf<InReactNative.WebSocketOptions>().toExtend<InBrowser.WebSocketOptions>()
  expectTypeOf<InNode.WebSocketOptions>().toExtend<InBrowser.WebSocketOptions>()
  expectTypeOf<DoctorInNode.ExamineOptions>().toExtend<DoctorInBrowser.ExamineOptions>()
})

interface ClientToServer {
  join(data: { room: string }): string
  say(text: string): void
  count(): number
  find(id: number): Promise<string | undefined>
}

interface ServerToClient {
  said(data: { room: string; text: string }): void
}

// Nobody calls it: it is for the compiler.
function talk(
  client: Events<ClientToServer, ServerToClient>,
  server: Events<ServerToClient, ClientToServer>,
): void {
  client.emit('say', 'hello')
  client.emit('count')
  // @ts-expect-error: no event of that name
  client.emit('sya', 'hello')
  // @ts-expect-error: not its data
  client.emit('say', 1)
  // @ts-expect-error: not its data, but that of another
  client.emit('say', { room: 'garden' })
  // @ts-expect-error: without its data
  client.emit('say')
  // @ts-expect-error: the server's event
  client.emit('said', { room: 'garden', text: 'hello' })
  expectTypeOf(client.ask('join', { room: 'garden' }, { timeout: 100 })).toEqualTypeOf<Promise<string>>()
  expectTypeOf(client.ask('count')).toEqualTypeOf<Promise<number>>()
  expectTypeOf(client.ask('count', undefined, { timeout: 100 })).toEqualTypeOf<Promise<number>>()
  expectTypeOf(client.ask('find', 1)).toEqualTypeOf<Promise<string | undefined>>()
  // @ts-expect-error: without its data
  client.ask('join')
  client.on('said', ({ room, text }) => expectTypeOf([room, text]).toEqualTypeOf<string[]>())
  // @ts-expect-error: the client's own event
  client.on('say', () => {})
  server.on('join', ({ room }) => room)
  server.on('join', async ({ room }) => room)
  server.on('find', () => undefined)
  // @ts-expect-error: not its answer
  server.on('join', () => 1)
  encode<ServerToClient>('said', { room: 'garden', text: 'hello' })
  // @ts-expect-error: not its data
  encode<ServerToClient>('said', 'hello')
}

test('events', () => {
  expectTypeOf(talk).returns.toBeVoid()
  // Every socket of ours, of the platform and of `ws` will do.
  expectTypeOf<globalThis.WebSocket>().toExtend<EventSocket>()
  expectTypeOf<OfWs.WebSocket>().toExtend<EventSocket>()
  expectTypeOf<InBrowser.WebSocket>().toExtend<EventSocket>()
  expectTypeOf<InReactNative.WebSocket>().toExtend<EventSocket>()
  expectTypeOf<InNode.WebSocket>().toExtend<EventSocket>()
  expectTypeOf<InstanceType<typeof Ws.WebSocket>>().toExtend<EventSocket>()
  expectTypeOf<Server.Socket>().toExtend<EventSocket>()
  expectTypeOf(events<ClientToServer, ServerToClient>).returns.toEqualTypeOf<
    Events<ClientToServer, ServerToClient>
  >()
})
