import { inTask, loadCluster } from '../load.ts'
import { simulateCluster } from './run.ts'
import { bugs } from './planted.ts'
const bug = bugs.find((b) => b.name.includes(process.argv[1] as string))
const c = await loadCluster(bug)
await inTask(() => {
  const { failure, trace } = simulateCluster(c, 1, Number(process.argv[2]), new Map(), {
    scenario: bug?.scenario,
    trace: true,
  })
  console.log(trace?.join('\n'))
  console.log(failure)
})
