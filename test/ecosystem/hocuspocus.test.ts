import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import type { Server } from '@hocuspocus/server'
import { expect, onTestFinished } from 'vitest'
import { Doc } from 'yjs'
import { attachFallbacks } from '../../server/index.ts'
import * as ws from '../../ws/index.ts'
import { importReplacing } from './replaced.ts'
import { bytes, numbers, onEachTransport, type Setting } from './setting.ts'

const count = 300

// It takes no class. Its HTTP server knows clients by their upgrades.
const library = await importReplacing<{ Server: typeof Server }>('@hocuspocus/server', 'ws', ws)

class Peer {
  readonly doc = new Doc()
  readonly events: string[] = []
  readonly provider: HocuspocusProvider
  readonly connection: HocuspocusProviderWebsocket
  readonly synced: Promise<void>

  constructor(setting: Setting) {
    const { events, doc } = this
    this.connection = new HocuspocusProviderWebsocket({
      url: setting.url,
      WebSocketPolyfill: setting.WebSocket,
      onConnect: () => events.push('connect'),
      onClose: ({ event }) => events.push(`close ${event.code}`),
    })
    this.provider = new HocuspocusProvider({
      websocketProvider: this.connection,
      name: 'notes',
      document: doc,
    })
    this.synced = new Promise((resolve) => this.provider.on('synced', () => resolve()))
    this.provider.attach()
  }

  get list(): number[] {
    return this.doc.getArray<number>('list').toArray()
  }
}

const makeServer = () => {
  const server = new library.Server({ quiet: true, stopOnSignals: false })
  const detach = attachFallbacks(server.httpServer)
  onTestFinished(detach)
  return server.httpServer
}

onEachTransport(
  'Hocuspocus',
  async (setting) => {
    const [writer, reader] = [new Peer(setting), new Peer(setting)]
    await Promise.all([writer.synced, reader.synced])
    const steps = setting.steps(count, (i) => writer.doc.getArray('list').push([i]))
    let length = 0
    reader.doc.getArray('list').observe(() => {
      for (; length < reader.list.length; length++) steps.ended()
    })
    await steps.all
    expect(reader.list).toEqual(numbers(count))
    const files = reader.doc.getMap<Uint8Array>('files')
    const arrived = new Promise((resolve) => files.observe(resolve))
    writer.doc.getMap('files').set('large', bytes(1_000_000))
    await arrived
    expect(Buffer.compare(files.get('large') as Uint8Array, bytes(1_000_000))).toBe(0)
    for (const { provider, connection } of [writer, reader]) {
      provider.destroy()
      connection.destroy()
    }
    await setting.finished(1005, 1005)
    for (const { events } of [writer, reader]) expect(events).toEqual(['connect'])
  },
  makeServer,
)
