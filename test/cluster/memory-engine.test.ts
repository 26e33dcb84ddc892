// The engine in memory keeps the rules of all engines.
import { MemoryStore } from '../../cluster/memory.ts'
import { engineContract } from './engine.contract.ts'

const store = new MemoryStore({ maxEntries: 50, maxBytes: 8 * 1024 * 1024 })

engineContract(
  () => ({ keeps: 50, engine: () => store.engine() }),
  async () => {
    store.lag()
    store.failOver(false)
  },
)
