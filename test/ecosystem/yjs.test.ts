import type { IncomingMessage } from 'node:http'
import { expect } from 'vitest'
import { WebsocketProvider } from 'y-websocket'
import { Doc } from 'yjs'
import type { Socket } from '../../server/index.ts'
import { importReplacing } from './replaced.ts'
import { bytes, numbers, onEachTransport } from './setting.ts'

interface Utils {
  setupWSConnection(socket: Socket, request: IncomingMessage): void
}

// Its optional store has native parts, which are not installed.
const { setupWSConnection } = await importReplacing<Utils>(
  '@y/websocket-server',
  'y-leveldb',
  { LeveldbPersistence: undefined },
  '@y/websocket-server/utils',
)

const count = 300

class Peer {
  readonly doc = new Doc()
  readonly statuses: string[] = []
  readonly provider: WebsocketProvider

  constructor(...[url, room, WebSocketPolyfill]: [string, string, typeof WebSocket]) {
    this.provider = new WebsocketProvider(url, room, this.doc, { WebSocketPolyfill, disableBc: true })
    this.provider.on('status', ({ status }) => this.statuses.push(status))
  }

  get list(): number[] {
    return this.doc.getArray<number>('list').toArray()
  }
}

onEachTransport('Yjs', async (setting) => {
  setting.serve().on('connection', (socket, request) => setupWSConnection(socket, request))
  const room = `from-${setting.url.slice(-5)}`
  const peer = (): Peer => new Peer(setting.url, room, setting.WebSocket)
  const [one, other] = [peer(), peer()]
  for (const { provider } of [one, other]) {
    if (!provider.synced) await new Promise((resolve) => provider.once('sync', resolve))
  }

  // Each answers the other's edit with its own.
  const list = one.doc.getArray<number>('list')
  const echoed = other.doc.getArray<number>('echoed')
  other.doc.getArray('list').observe(({ changes }) => {
    for (const { insert } of changes.delta) if (insert) echoed.push(insert as number[])
  })
  const steps = setting.steps(count, (i) => list.push([i]))
  one.doc.getArray('echoed').observe(({ changes }) => {
    for (const { insert = [] } of changes.delta) for (const _ of insert) steps.ended()
  })
  await steps.all
  expect(other.list).toEqual(numbers(count))
  expect(echoed.toArray()).toEqual(numbers(count))

  const files = other.doc.getMap<Uint8Array>('files')
  const arrived = new Promise((resolve) => files.observe(resolve))
  one.doc.getMap('files').set('large', bytes(1_000_000))
  await arrived
  expect(Buffer.compare(files.get('large') as Uint8Array, bytes(1_000_000))).toBe(0)

  for (const { provider } of [one, other]) {
    expect(provider.wsUnsuccessfulReconnects).toBe(0)
    provider.destroy()
  }
  await setting.finished(1005, 1005)
  for (const { statuses } of [one, other]) expect(statuses).toEqual(['connected', 'disconnected'])
})
