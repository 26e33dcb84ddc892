// What a process without clients publishes to the topics of a cluster.
import { expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { Publisher } from '../../cluster/publisher.ts'
import { defaultLimits } from '../../cluster/topics/topics.ts'
import { RawClient } from '../support/raw-client.ts'
import { joinNode } from './nodes.ts'

function publisherOn(store: MemoryStore): Publisher {
  const publisher = new Publisher(store.engine(), 'publisher', defaultLimits)
  onTestFinished(() => publisher.close())
  return publisher
}

test('text of bytes that are none is replaced: it ends no client', async () => {
  const store = new MemoryStore()
  const { realtime, url } = await joinNode(store.engine())
  realtime.on('connection', (socket) => socket.subscribe('news'))
  const client = new RawClient(url)
  await client.openWebSocket()
  realtime.publish('news', 'listens')
  expect(await client.arrived.next()).toBe('listens')
  const publisher = publisherOn(store)
  publisher.publish('news', Buffer.from('Grüße', 'latin1'), { binary: false })
  publisher.publish('news', Buffer.from([0xfc]))
  expect(await client.arrived.next()).toBe('Gr\ufffd\ufffde')
  expect(await client.arrived.next()).toEqual(Buffer.from([0xfc]))
})

test.each([null, 5, [5], new Set(['a'])])('except %o throws, and says what is wrong', (except) => {
  const publisher = publisherOn(new MemoryStore())
  expect(() => publisher.publish('news', 'x', { except: except as never })).toThrow(
    new TypeError('The option "except" must be a topic, or a list of topics'),
  )
})
