// The events of `everwire/ws` beside those of `ws`: the same names of classes, members, targets and values, at both ends.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import * as ws from 'ws'
import * as ours from '../../ws/index.ts'

/** As much of both as this test uses. */
interface Peer {
  addEventListener(type: string, listener: (event: object) => void): void
  send(data: string | Buffer): void
  close(code: number, reason: string): void
}

type Modules = Pick<typeof ws, 'WebSocketServer'>
type Facets = Record<string, unknown>

// The events of our client are also events of Node, with more members than those of `ws`.
const ofNode: ReadonlySet<string> = new Set(allOf(new MessageEvent('message')))
const ofBoth: readonly string[] = ['type', 'target', 'data']

function allOf(event: object): string[] {
  const all: string[] = []
  for (const name in event) all.push(name)
  return all
}

/** What a listener can read of each event that comes to a socket. */
function told(socket: Peer): Facets[] {
  const events: Facets[] = []
  for (const type of ['open', 'message', 'error', 'close']) {
    socket.addEventListener(type, function (this: unknown, event) {
      const members = allOf(event).filter((name) => !ofNode.has(name) || ofBoth.includes(name))
      const values = Object.fromEntries(
        members.sort().map((name) => {
          const value = (event as Facets)[name]
          return [name, value === socket ? 'the socket' : value]
        }),
      )
      events.push({ ...values, class: event.constructor.name, onTarget: this === socket })
    })
  }
  return events
}

/** A conversation with a message of each kind both ways and a close, and a client that is refused. */
async function conversation({ WebSocketServer }: Modules, connect: (url: string) => Peer): Promise<Facets> {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    verifyClient: ({ req }: { req: IncomingMessage }) => req.url === '/',
  })
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = connect(url)
  const atClient = told(client)
  const [socket] = (await once(server, 'connection')) as [ws.WebSocket]
  const atServer = told(socket)
  await came(client, 'open')
  for (const data of ['text', Buffer.from('bytes')]) {
    const both = [came(socket, 'message'), came(client, 'message')]
    client.send(data)
    socket.send(data)
    await Promise.all(both)
  }
  const both = [came(socket, 'close'), came(client, 'close')]
  client.close(4001, 'bye')
  await Promise.all(both)
  const refused = connect(`${url}/secret`)
  const atRefused = told(refused)
  await came(refused, 'close')
  return { atClient, atServer, atRefused }
}

const came = (socket: Peer, type: string): Promise<void> =>
  new Promise((resolve) => socket.addEventListener(type, () => resolve()))

const only = { transports: ['websocket'], remember: false } as const
test.each([
  ['with a session', (url: string) => new ours.WebSocket(url, only)],
  ['with `session: false`', (url: string) => new ours.WebSocket(url, { session: false })],
])('%s a listener reads what it reads with ws', async (_name, connect) => {
  const expected = await conversation(ws, (url) => new ws.WebSocket(url) as Peer)
  expect(expected.atClient).toHaveLength(4)
  expect(await conversation(ours as unknown as Modules, (url) => connect(url) as Peer)).toEqual({
    ...expected,
    // Why no transport got through: `ws` has no reason here.
    atRefused: (expected.atRefused as Facets[]).map((event) =>
      'code' in event ? { ...event, reason: expect.any(String) } : event,
    ),
  })
})
