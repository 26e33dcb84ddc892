/** A network that is as bad as you say, in front of any HTTP server, for tests. */
import { type HostileNetworkOptions, Network, type TargetLike } from './network.ts'
import type { HostileNetwork } from './types.ts'

export type { Faults } from './faults.ts'
export type { HostileNetworkOptions } from './network.ts'
export type { Connection, Direction, HostileNetwork, HostileNetworkEvents, Target } from './types.ts'

/**
 * Starts a proxy in front of a server. It passes all data on unchanged, except for its faults. All faults are off unless
 * given here; `set` switches them while the proxy runs.
 *
 * @param target the server: a port of this machine, `'http://host:port'`, or `{ host, port }`
 */
export async function hostileNetwork(
  target: TargetLike,
  options: HostileNetworkOptions = {},
): Promise<HostileNetwork> {
  return new Network(target, options).listen()
}
