/** Everwire as it ships, for the simulation of a cluster. */
import type * as clientSide from '../everwire-client.ts'
import type * as nodeSide from '../everwire-node.ts'
import { type Bug, bundleOf, compile, evaluate, findPlace } from '../load.ts'
import { clientGlobals, type Globals } from '../machine.ts'
import { World } from '../world.ts'
import { Pool } from './process.ts'

/** The client, and servers of a cluster: each in a process of its own. */
export interface Clustered {
  readonly world: World
  /** Of each client its own: it has one platform. */
  readonly clients: readonly (typeof clientSide)[]
  readonly pool: Pool
}

/** So many clients has a cluster at a time. */
export const mostClients = 3

export async function loadCluster(bug?: Bug): Promise<Clustered> {
  if (bug) await findPlace(bug)
  const [client, node] = await Promise.all([bundleOf('client', bug), bundleOf('node', bug)])
  const world = new World()
  const evaluateNode = (globals: Globals) => {
    evaluateNodeOnce ??= compile<typeof nodeSide>('node', node, globals)
    return evaluateNodeOnce(globals)
  }
  let evaluateNodeOnce: ((globals: Globals) => typeof nodeSide) | undefined
  return {
    world,
    clients: Array.from({ length: mostClients }, () => evaluate('client', client, clientGlobals(world))),
    pool: new Pool(world, evaluateNode),
  }
}
