// A subscriber that comes from another server, while the store loses data and cannot be asked.
import { expect, onTestFinished, test } from 'vitest'
import type { Place } from '../../cluster/base/engine.ts'
import { MemoryStore } from '../../cluster/memory.ts'
import { ClusterTopics, defaultLimits } from '../../cluster/topics/topics.ts'

/** The topics of a server with one subscriber of `news`, with a clock that stands until `ring` is called. */
async function listening() {
  const store = new MemoryStore()
  const engine = store.engine()
  const told: string[] = []
  const timers: (() => void)[] = []
  const topics = new ClusterTopics({
    ...defaultLimits,
    engine,
    name: 'node',
    patience: 30_000,
    random: () => 0,
    after: (_ms, run) => {
      timers.push(run)
      return () => void timers.splice(timers.indexOf(run), 1)
    },
    host: {
      deliver: (_topic, data) => told.push(String(data)),
      disconnect: () => 0,
      gap: () => told.push('gap'),
    },
  })
  await engine.open({
    published: (name, entries) => topics.arrived(name, entries),
    told: () => {},
    connection: (state) => topics.connection(state),
  })
  onTestFinished(() => topics.close())
  topics.connection('up')
  topics.subscribed('news')
  await expect.poll(() => topics.placeOf('news')).toBeDefined()
  const publish = async (text: string) => {
    topics.publish('news', Buffer.from(text), false, [], {})
    await expect.poll(() => told).toContain(text)
  }
  return { store, engine, topics, told, timers, publish }
}

test('what was published at a place that a subscriber had passed before a loss is a gap for it', async () => {
  const { store, engine, topics, told, timers, publish } = await listening()
  store.lag()
  await publish('lost')
  // Up to here the subscriber had everything, on another server.
  const place = topics.placeOf('news') as Place
  store.failOver(true)
  await expect.poll(() => topics.placeOf('news')?.offset).toBe(place.offset - 1)
  engine.cut()
  timers.length = 0
  let isCaughtUp = false
  const caughtUp = topics.catchUp('news', place, {
    deliver: (data) => told.push(`late ${data}`),
    disconnect: () => {},
    isThere: () => true,
    caughtUp: () => {
      isCaughtUp = true
    },
  })
  // The store cannot be asked: a pause begins.
  await expect.poll(() => timers.length).toBe(1)
  const [again] = timers
  engine.mend()
  await publish('new')
  const before = told.length
  again?.()
  await caughtUp
  expect([told.slice(before), isCaughtUp]).toEqual([['gap'], true])
})
