// The same seed and the same traffic meet the same faults.
import { expect, test } from 'vitest'
import type { HostileNetworkOptions } from '../../testing/index.ts'
import { draw } from '../../testing/random.ts'
import { fetchAll } from '../support/http.ts'
import { plain } from '../support/plain-client.ts'
import { behind } from './server.ts'

const rates = {
  errorPages: 0.3,
  loseAnswers: 0.3,
  repeatPosts: 0.3,
  overtake: [0.3, 1],
} satisfies HostileNetworkOptions

/** What becomes of 30 requests, one after the other. */
async function fates(options: HostileNetworkOptions): Promise<string[]> {
  const { network } = await behind(options)
  const seen: string[] = []
  const faults: string[] = []
  network.on('fault', (name) => faults.push(name))
  for (let i = 0; i < 30; i++) {
    const outcome = await fetchAll(network.url, { method: 'POST', body: 'x' }).then(
      ({ status }) => String(status),
      () => 'lost',
    )
    seen.push([outcome, ...faults.splice(0)].join(' '))
  }
  return seen
}

test('the same seed makes the same network, another seed another', async () => {
  const first = await fates({ ...rates, seed: 7 })
  expect(await fates({ ...rates, seed: 7 })).toEqual(first)
  expect(await fates({ ...rates, seed: 8 })).not.toEqual(first)
  expect(new Set(first).size).toBeGreaterThan(4)
})

test('what one fault does is the same whatever others there are', async () => {
  const lost = (all: string[]): boolean[] => all.map((fate) => fate.includes('loseAnswers'))
  const alone = await fates({ loseAnswers: 0.3, seed: 7 })
  const beside = await fates({ loseAnswers: 0.3, repeatPosts: 0.5, seed: 7 })
  expect(lost(beside)).toEqual(lost(alone))
  expect(lost(alone)).toContain(true)
})

test('without a seed it is the same each time', async () => {
  expect(await fates(rates)).toEqual(await fates({ ...rates, seed: 1 }))
})

test('when a WebSocket is cut depends on the seed', async () => {
  const order = async (seed: number): Promise<string[]> => {
    const { network } = await behind({ seed })
    const cut: string[] = []
    for (let i = 0; i < 5; i++) await plain(`${network.url}/${i}`)
    const done = new Promise<void>((resolve) => {
      // Not when they have ended: two sockets have to close for that, which takes as long as it takes.
      network.on('fault', (_name, { request }) => {
        if (cut.push(request) === 5) resolve()
      })
    })
    // Far enough from each other to keep their order.
    network.set({ cutWebSockets: [0, 300] })
    await done
    return cut
  }
  expect(await order(3)).toEqual(await order(3))
})

test('draws are spread evenly, and differ by seed, name and number', () => {
  const buckets = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 10_000; i++) buckets[Math.floor(10 * draw(1, 'loss', i))]!++
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150)
  const all = new Set([draw(1, 'a', 0), draw(2, 'a', 0), draw(1, 'b', 0), draw(1, 'a', 1)])
  expect(all.size).toBe(4)
})
