import { expect, test } from 'vitest'
import type { History } from '../../cluster/base/engine.ts'
import { writeEntry } from '../../cluster/topics/entry.ts'
import { Subscription } from '../../cluster/topics/subscription.ts'

const epoch = 'e'
const entry = (publisher: string, seq: number): Buffer =>
  writeEntry({
    publisher,
    seq,
    said: { kind: 'message', binary: false, except: [], data: Buffer.from(`${publisher} ${seq}`) },
  })

test.each([
  ['which says so', true],
  ['without a word', false],
])('what came before the store lost data, %s, is not taken for what follows now', async (_, isSaid) => {
  const told: string[] = []
  const asked: { answer(history: History): void; fail(error: Error): void }[] = []
  const subscription = new Subscription('topic:news', 'news', {
    isUp: () => true,
    subscribe: async () => ({ epoch, offset: 0 }),
    history: () => new Promise((answer, fail) => asked.push({ answer, fail })),
    mayRead: (one) => one.readHistory(),
    hasRead: () => {},
    worked: () => {},
    failed: () => {},
    take: (_, { publisher, seq }) => told.push(`${publisher} ${seq}`),
    gap: () => told.push('gap'),
  })
  await subscription.placed()
  // The first entry did not arrive, so the second one waits until the history is read.
  subscription.published({ from: { epoch, offset: 2 }, entries: [entry('lost', 2)] })
  expect(asked).toHaveLength(1)
  asked[0]?.fail(new Error('The connection has gone'))
  await Promise.resolve()
  // An older copy of the store takes over. In it other entries get these places.
  subscription.connected(isSaid)
  await expect.poll(() => asked.length).toBe(2)
  asked[1]?.answer({ from: { epoch, offset: 1 }, entries: [entry('new', 1)], isGap: false })
  const before = isSaid ? ['gap'] : []
  await expect.poll(() => told.length).toBeGreaterThan(before.length)
  expect(told).toEqual([...before, 'new 1'])
  subscription.published({ from: { epoch, offset: 2 }, entries: [entry('new', 2)] })
  expect(told).toEqual([...before, 'new 1', 'new 2'])
})
