// When a message counts as told in durable mode: what a class of the application and everwire/events do with it counts, too.
import { expect, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { events } from '../../events/index.ts'
import { Socket } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { type Answer, hello, RawClient, text } from '../support/raw-client.ts'
import { joinNode } from './nodes.ts'

const durable = { recover: true, durable: true } as const

/** Hears all events before anybody else does, and leaves some out. */
class Watched extends Socket {
  readonly seen: string[] = []

  override emit(name: string, ...args: unknown[]): boolean {
    if (name === 'message') {
      this.seen.push(String(args[0]))
      if (String(args[0]) === 'leave out') return false
    }
    return Reflect.apply(super.emit, this, [name, ...args])
  }
}

async function open<Client extends Socket>(WebSocket: new (...args: never[]) => Client) {
  const node = await joinNode(new MemoryStore().engine(), { ...durable, WebSocket })
  const client = new RawClient(node.url)
  await client.send([hello()], { ask: Ask.open })
  const { socket } = await node.connections.next()
  /** How many messages the client need not keep any more. */
  const acknowledged = async (): Promise<number> => (await client.send()).head?.has.number ?? 0
  const said = (...texts: string[]): Promise<Answer> => client.send(texts.map((one) => text(one)))
  return { socket: socket as Client, client, said, acknowledged }
}

test('a class that overrides emit hears messages, and may leave one out', async () => {
  const { socket, said, acknowledged } = await open(Watched)
  const heard: string[] = []
  socket.on('message', (data) => heard.push(String(data)))
  await said('one', 'leave out', 'two')
  expect(socket.seen).toEqual(['one', 'leave out', 'two'])
  expect(heard).toEqual(['one', 'two'])
  await expect.poll(acknowledged).toBe(3)
})

test('where a class overrides emit, a message is acknowledged when the promises of its listeners are settled', async () => {
  const { socket, said, acknowledged } = await open(Watched)
  let finish = (): void => {}
  socket.on('message', () => new Promise<void>((resolve) => (finish = resolve)))
  // What a listener makes another listener hear is not this message.
  socket.once('message', () => void socket.emit('pong', Buffer.alloc(0)))
  expect((await said('one')).head?.has.number).toBe(0)
  finish()
  await expect.poll(acknowledged).toBe(1)
})

test('an emit of the application with a message of its own is none of the client', async () => {
  const { socket, said, acknowledged } = await open(Watched)
  const forever = new Promise(() => {})
  socket.on('message', () => forever)
  expect(socket.emit('message', Buffer.from('own'), false)).toBe(true)
  socket.removeAllListeners('message')
  await said('one')
  await expect.poll(acknowledged).toBe(1)
})

test('handlers of everwire/events: a message is acknowledged when they are done, and an error goes back to who asks', async () => {
  const { socket, said, client, acknowledged } = await open(Socket)
  const faults: unknown[] = []
  const its = events(socket, { onfault: ({ type }) => faults.push(type) })
  let finish = (): void => {}
  its.on('save', () => new Promise<void>((resolve) => (finish = resolve)))
  its.on('fail', () => Promise.reject(new Error('no room')))
  expect((await said('["save",1]')).head?.has.number).toBe(0)
  finish()
  await expect.poll(acknowledged).toBe(1)
  await said('["fail",2]')
  await expect.poll(acknowledged).toBe(2)
  expect(client.received).toEqual(['[null,1]', '[null,2,null,"Handler failed","failed"]'])
  expect(faults).toEqual(['thrown'])
})
