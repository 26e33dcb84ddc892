// Servers of one cluster in this process, on a store in memory, behind a balancer without stickiness.
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import type { Engine } from '../../cluster/base/engine.ts'
import { MemoryStore } from '../../cluster/memory.ts'
import { type ClusterNode, clusterOf, type NodeSettings } from '../../cluster/node.ts'
import { defaultLimits } from '../../cluster/topics/topics.ts'
import type { Cluster } from '../../server/base/cluster.ts'
import type { ServerOptions } from '../../server/index.ts'
import { type RoundRobin, roundRobin } from '../support/round-robin.ts'
import { type Serving, serve } from '../support/serving.ts'

export interface Node extends Serving {
  readonly member: ClusterNode
}

export interface Nodes {
  readonly store: MemoryStore
  readonly nodes: readonly Node[]
  readonly balancer: RoundRobin
}

export const lease = 2_000

/** Starts a server that joins the cluster of this store. */
export async function joinNode(
  engine: Engine,
  options: ServerOptions = {},
  secret?: string,
  settings: Partial<NodeSettings> = {},
): Promise<Node> {
  const made = clusterOf(() => engine, {
    ...defaultLimits,
    atStart: 'wait',
    lease,
    listen: { host: '127.0.0.1' },
    secret,
    relay: true,
    name: 'test',
    ...settings,
  })
  let member: ClusterNode | undefined
  const cluster: Cluster = {
    join: (host) => {
      member = made.join(host) as ClusterNode
      return member
    },
  }
  const serving = await serve({ ...options, cluster })
  while (!serving.realtime.ready) await once(serving.realtime, 'cluster')
  return { ...serving, member: member as ClusterNode }
}

export async function startNodes(count = 3, options: ServerOptions = {}): Promise<Nodes> {
  const store = new MemoryStore()
  const nodes: Node[] = []
  for (let i = 0; i < count; i++) nodes.push(await joinNode(store.engine(), options))
  const balancer = await roundRobin(nodes.map(({ port }) => port))
  onTestFinished(() => balancer.close())
  return { store, nodes, balancer }
}
