import { inTask, loadCluster } from '../load.ts'
import { simulateCluster } from './run.ts'
const seed = Number(process.argv[1])
const c = await loadCluster()
await inTask(() => {
  for (const n of process.argv.slice(2)) {
    const { failure } = simulateCluster(c, seed, Number(n), new Map())
    console.log(n, failure?.slice(0, 700))
  }
})
