import { inTask, loadCluster } from '../load.ts'
import { simulateCluster } from './run.ts'
import { bugs } from './planted.ts'
const only = process.argv[1] ?? ''
const most = Number(process.argv[2] ?? 120)
for (const bug of bugs.filter((b) => b.name.includes(only))) {
  const c = await loadCluster(bug)
  let found = ''
  let n = 0
  await inTask(() => {
    for (; n < most && !found; n++) {
      const { failure } = simulateCluster(c, 1, n, new Map(), bug)
      if (failure) found = failure
    }
  })
  console.log(found ? n : 'NOT', bug.name, '|', found.slice(0, 160), process.cpuUsage().user / 1e6)
}
