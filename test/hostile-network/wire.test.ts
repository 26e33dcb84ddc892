// How late a network makes what is on it: delay, jitter, loss and bandwidth, on a clock of our own; and once for real.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Faults, noFaults } from '../../testing/faults.ts'
import { type Link, Wire } from '../../testing/wire.ts'
import { fetchAll } from '../support/http.ts'
import { ask, plain } from '../support/plain-client.ts'
import { behind, struck } from './server.ts'

class Bench {
  readonly faults: Faults
  readonly link: Link
  readonly arrived: (readonly [text: string, at: number])[] = []
  readonly fullness: boolean[] = []
  readonly from = performance.now()
  losses = 0
  /** What is drawn, in order. */
  draws: number[] = []
  readonly wire: Wire

  constructor(faults: Partial<Faults>, link: Link = { freeAt: 0 }) {
    this.faults = { ...noFaults, ...faults }
    this.link = link
    this.wire = new Wire({
      faults: this.faults,
      link,
      draw: () => this.draws.shift() ?? 0.999,
      lost: () => {
        this.losses++
      },
      full: (isFull) => this.fullness.push(isFull),
    })
  }

  send(...texts: string[]): void {
    for (const text of texts) this.wire.sendBytes(Buffer.from(text), (piece) => this.#note(String(piece)))
  }

  end(): void {
    this.wire.send(0, () => this.#note('end'))
  }

  #note(text: string): void {
    this.arrived.push([text, Math.round(performance.now() - this.from)])
  }
}

describe('on a clock of our own', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  test('without faults it takes no time at all', () => {
    const bench = new Bench({})
    bench.send('a', 'b')
    bench.end()
    expect(bench.arrived).toEqual([
      ['a', 0],
      ['b', 0],
      ['end', 0],
    ])
  })

  test('delay: everything is so much later, ends too', () => {
    const bench = new Bench({ delay: 50 })
    bench.send('a')
    vi.advanceTimersByTime(20)
    bench.send('b')
    bench.end()
    vi.advanceTimersByTime(100)
    expect(bench.arrived).toEqual([
      ['a', 50],
      ['b', 70],
      ['end', 70],
    ])
  })

  test('a delay that is switched off: what comes later does not overtake', () => {
    const bench = new Bench({ delay: 50 })
    bench.send('late')
    bench.faults.delay = 0
    bench.send('behind it')
    vi.advanceTimersByTime(50)
    bench.send('at once')
    expect(bench.arrived).toEqual([
      ['late', 50],
      ['behind it', 50],
      ['at once', 50],
    ])
  })

  test('jitter: some time between nothing and all of it, and the order is kept', () => {
    const bench = new Bench({ delay: 10, jitter: 40 })
    bench.draws = [0.5, 0, 0.75]
    bench.send('a', 'b', 'c')
    vi.advanceTimersByTime(100)
    expect(bench.arrived).toEqual([
      ['a', 30],
      ['b', 30],
      ['c', 40],
    ])
  })

  test.each([
    [0, 200],
    [100, 500],
  ])('loss with a delay of %d ms: late by a retransmission, and what is behind it waits', (delay, late) => {
    const bench = new Bench({ delay, loss: 0.5 })
    bench.draws = [0.6, 0.4, 0.6]
    bench.send('a', 'lost', 'c')
    vi.advanceTimersByTime(1000)
    expect(bench.arrived).toEqual([
      ['a', delay],
      ['lost', late],
      ['c', late],
    ])
    expect(bench.losses).toBe(1)
  })

  test('bandwidth: so many bytes a second, for all who share the link', () => {
    const link = { freeAt: 0 }
    const [one, other] = [new Bench({ bandwidth: 10_000 }, link), new Bench({ bandwidth: 10_000 }, link)]
    one.send('x'.repeat(1000))
    other.send('y'.repeat(500))
    vi.advanceTimersByTime(1000)
    expect(one.arrived.map(([, at]) => at)).toEqual([100])
    expect(other.arrived.map(([, at]) => at)).toEqual([150])
  })

  test('bandwidth: what is large comes in pieces, and more is not taken until there is room', () => {
    const bench = new Bench({ bandwidth: 100_000 })
    bench.send('x'.repeat(100_000))
    expect(bench.fullness).toEqual([true])
    vi.advanceTimersByTime(500)
    const half = bench.arrived.map(([text]) => text.length).reduce((sum, length) => sum + length)
    expect(half).toBe(50_000)
    vi.advanceTimersByTime(500)
    expect(bench.arrived.map(([text]) => text).join('').length).toBe(100_000)
    expect(bench.arrived.at(-1)?.[1]).toBe(1000)
    expect(bench.fullness).toEqual([true, false])
  })

  test('dropped by what arrives: what is behind that does not', () => {
    const bench = new Bench({ delay: 50 })
    bench.wire.send(1, () => bench.wire.drop())
    bench.send('behind')
    vi.advanceTimersByTime(50)
    bench.send('later')
    vi.advanceTimersByTime(100)
    expect(bench.arrived).toEqual([['later', 100]])
  })

  test('what is dropped never arrives', () => {
    const bench = new Bench({ delay: 50 })
    bench.send('a')
    bench.wire.drop()
    bench.send('b')
    vi.advanceTimersByTime(100)
    expect(bench.arrived.map(([text]) => text)).toEqual(['b'])
  })
})

test('for real: a round trip for the connection, one for the request; on an open WebSocket one', async () => {
  const { network } = await behind({ delay: 30 })
  const atLeast = async (ms: number, run: () => Promise<unknown>): Promise<void> => {
    const from = performance.now()
    await run()
    expect(performance.now() - from).toBeGreaterThanOrEqual(ms - 2)
  }
  await atLeast(120, () => fetchAll(network.url))
  const socket = await plain(network.url)
  await atLeast(60, () => ask(socket, 'hello'))
})

test('for real: chunks are lost, and everything arrives in order', async () => {
  const { network } = await behind()
  const names = struck(network)
  const socket = await plain(network.url)
  network.set({ loss: 0.2, jitter: 3 })
  const all = Array.from({ length: 12 }, (_, i) => `message ${i}`)
  const seen: string[] = []
  const done = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      if (seen.push(String(data)) === all.length) resolve()
      else socket.send(all[seen.length] ?? '')
    })
  })
  socket.send(all[0] ?? '')
  await done
  expect(seen).toEqual(all)
  expect(await names.next()).toBe('loss')
})

test('for real: with little bandwidth a large body takes its time', async () => {
  const { network, reached } = await behind({ bandwidth: 400_000 })
  const from = performance.now()
  await fetchAll(network.url, { method: 'POST', body: Buffer.alloc(100_000) })
  // There and, as its echo, back.
  expect(performance.now() - from).toBeGreaterThanOrEqual(500 - 5)
  expect(reached[0]?.body.length).toBe(100_000)
})
