/** A network that is as bad as you say, in front of any HTTP server, for tests. */
import { Network, type NetworkOptions, type TargetLike } from './network.ts'
import type { HostileNetwork } from './types.ts'

export type { Faults } from './faults.ts'
export type { NetworkOptions, TargetLike } from './network.ts'
export type { Connection, Direction, HostileNetwork, HostileNetworkEvents, Target } from './types.ts'

/**
 * Starts a proxy in front of a server: it passes everything on as it comes, but for the faults that it is told. All are
 * off unless given here; `set` switches them while it runs.
 *
 * @param target the server: a port of this machine, `'http://host:port'`, or `{ host, port }`
 */
export async function hostileNetwork(
  target: TargetLike,
  options: NetworkOptions = {},
): Promise<HostileNetwork> {
  return new Network(target, options).listen()
}
