/**
 * Slots in Node: the permission to keep a connection of an agent busy. Where an agent may have few connections (`maxSockets`,
 * `maxTotalSockets`), some of them stay free for short exchanges, which would otherwise wait in the agent for what is held.
 */
import type { Agent } from 'node:http'
import type { Requests } from '../carriers/http.ts'
import type { Way } from './node-way.ts'

/** How many exchanges are held over the connections of an agent, by server. */
const taken = new WeakMap<Agent, Map<string, number>>()

/** How a carrier takes a slot on this way; undefined if the agent may have any number of connections. */
export function slotsOn({ forHTTP: agent, host, port }: Way): Requests['slot'] {
  // An agent of another kind may lack these members.
  const { maxSockets = Number.POSITIVE_INFINITY, maxTotalSockets = Number.POSITIVE_INFINITY } = agent
  if (Math.min(maxSockets, maxTotalSockets) === Number.POSITIVE_INFINITY) return undefined
  const servers = taken.get(agent) ?? new Map<string, number>()
  taken.set(agent, servers)
  const server = `${host}:${port}`
  const add = (count: number): unknown => servers.set(server, (servers.get(server) ?? 0) + count)
  return async () => {
    const all = [...servers.values()].reduce((sum, count) => sum + count, 0)
    const isFull = (servers.get(server) ?? 0) >= budget(maxSockets) || all >= budget(maxTotalSockets)
    // Requests that wait in the agent may also be those of the application.
    if (isFull || Object.keys(agent.requests ?? {}).length > 0) return undefined
    add(1)
    return () => void add(-1)
  }
}

/** How many of so many connections may be kept busy. */
function budget(connections: number): number {
  return connections - (connections > 4 ? 2 : 1)
}
