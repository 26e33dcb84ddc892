// What happens to the store while a node joins.
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { clusterOf } from '../../cluster/node.ts'
import { defaultLimits } from '../../cluster/topics/topics.ts'
import { WebSocketServer } from '../../server/index.ts'
import { end } from '../support/serving.ts'

/** As soon as it has learnt the secret, the store loses everything, and another node is the first to propose one. */
class Unlucky extends MemoryEngine {
  readonly #store: MemoryStore
  readonly secrets: string[] = []
  beaten: () => void = () => {}

  constructor(store: MemoryStore) {
    super(store)
    this.#store = store
  }

  override async common(name: string, proposal: string): Promise<string> {
    const secret = await super.common(name, proposal)
    this.secrets.push(secret)
    if (this.secrets.length === 1) {
      this.#store.lose()
      this.#store.common(name, 'of another')
    }
    return secret
  }

  override async beat(...args: Parameters<MemoryEngine['beat']>): Promise<void> {
    await super.beat(...args)
    this.beaten()
  }
}

test('a node learns the secret of a store that lost everything while the node joined', async () => {
  const engine = new Unlucky(new MemoryStore())
  const settings = { ...defaultLimits, atStart: 'wait', lease: 300, listen: false, relay: true } as const
  const realtime = new WebSocketServer({ noServer: true, cluster: clusterOf(() => engine, settings) })
  onTestFinished(() => end(realtime))
  await once(realtime, 'cluster')
  let beats = 0
  await new Promise<void>((resolve) => {
    engine.beaten = () => {
      if (++beats === 3) resolve()
    }
  })
  expect(engine.secrets.at(-1)).toBe('of another')
})
