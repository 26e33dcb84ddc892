// A share of `npm run networks -- --cluster`: three servers behind each balancer, on some of the networks, over each transport alone.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import type { BalancerProgram } from '../cluster/balancers.ts'
import { needs } from '../support/tools.ts'
import { Clusters } from './cluster.ts'
import { arrived, hangs } from './holds.ts'
import { changing } from './list/changing.ts'
import { inTheWay } from './list/in-the-way.ts'
import { unkindToHttp } from './list/unkind-http.ts'
import type { Network } from './network.ts'
import { figures, run } from './run.ts'

const networks = [...inTheWay, ...unkindToHttp, ...changing]
/** Each takes some seconds: of the four transports two behind each balancer. test/cluster has all behind both, without a bad network. */
const share: Readonly<Record<BalancerProgram, readonly (readonly [network: string, alone?: Transport])[]>> = {
  nginx: [['WebSocket cut', 'websocket'], ['answers lost', 'polling'], ['all at once']],
  haproxy: [['streams cut after 2 s', 'stream'], ['nginx, plain', 'sse'], ['all at once']],
}

needs(['redis-server', 'nginx', 'haproxy'], 'on three servers', () => {
  let clusters: Clusters
  beforeAll(async () => {
    await ensureBuilt()
    clusters = await Clusters.start()
  })
  afterAll(() => clusters?.end())

  describe.concurrent('everything arrives once and in order', () => {
    test.for(['nginx', 'haproxy'] as const)('behind %s', async (program) => {
      for (const [name, alone] of share[program]) {
        const network = networks.find((one) => one.name === name) as Network
        const contestant = clusters.contestant(program, alone)
        const result = await run(contestant, { ...network, during: ({ exchange }) => exchange(100) }, hangs)
        console.log(`${contestant.name}: ${name}: ${figures(result)}`)
        arrived(result)
        if (alone)
          expect(new Set(result.transports.filter((one) => one !== 'null'))).toEqual(new Set([alone]))
        // A WebSocket may have reached its owner each time.
        if (alone && alone !== 'websocket') expect(clusters.passed[contestant.name]).toBeGreaterThan(0)
      }
    })
  })
})
