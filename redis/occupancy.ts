/** Which nodes have subscribers of which topics. Topics are in groups, so that a node that died can be taken out of them in few steps. */
import type { Occupied } from '../cluster/base/engine.ts'
import { commonLife } from './connection.ts'
import { groupOf, type Keys } from './keys.ts'
import type { Link } from './link.ts'
import { strings } from './payload.ts'
import { script } from './scripts.ts'

/** KEYS: a group. ARGV: topic, node, life. Returns how many nodes have the topic, and 1 if this one is new. */
const occupy = script(
  '',
  `
local value = redis.call('HGET', KEYS[1], ARGV[1])
local nodes = value and cjson.decode(value) or {}
redis.call('PEXPIRE', KEYS[1], ARGV[3])
for _, node in ipairs(nodes) do if node == ARGV[2] then return { #nodes, 0 } end end
nodes[#nodes + 1] = ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(nodes))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { #nodes, 1 }`,
)

const without = `
local function without(topic, value, gone)
  local nodes, left = cjson.decode(value), {}
  for _, node in ipairs(nodes) do if node ~= gone then left[#left + 1] = node end end
  if #left == 0 then redis.call('HDEL', KEYS[1], topic)
  elseif #left < #nodes then redis.call('HSET', KEYS[1], topic, cjson.encode(left)) end
  return #left, #nodes - #left
end
`

/** KEYS: a group. ARGV: topic, node. Returns how many nodes have the topic, and 1 if this one had it. */
const vacate = script(
  'flags=allow-oom',
  `${without}
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return { 0, 0 } end
return { without(ARGV[1], value, ARGV[2]) }`,
)

/** KEYS: a group. ARGV: node. Returns the topics that no node has any more. */
const vacateAll = script(
  'flags=allow-oom',
  `${without}
local all, empty = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local left, gone = without(all[at], all[at + 1], ARGV[1])
  if left == 0 and gone > 0 then empty[#empty + 1] = all[at] end
end
return empty`,
)

/** KEYS: a group. ARGV: life. Returns the nodes that have a topic. */
const occupants = script(
  'flags=allow-oom',
  `
local seen, names = {}, {}
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  for _, node in ipairs(cjson.decode(value)) do
    if not seen[node] then
      seen[node] = true
      names[#names + 1] = node
    end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return names`,
)

/** The number of groups of topics. */
const groups = 64

/** What the engine says of topics and nodes, over this link. */
export class OccupancyKeys {
  readonly #keys: Keys

  constructor(keys: Keys) {
    this.#keys = keys
  }

  async occupy(link: Link, topic: string, node: string): Promise<Occupied> {
    return readCount(await link.run(occupy, [this.#keyOf(topic)], [topic, node, String(commonLife)]))
  }

  async vacate(link: Link, topic: string, node: string): Promise<Occupied> {
    return readCount(await link.run(vacate, [this.#keyOf(topic)], [topic, node]))
  }

  vacateAll(link: Link, node: string): Promise<string[]> {
    return this.#ofAll((key) => link.run(vacateAll, [key], [node]))
  }

  async occupants(link: Link): Promise<string[]> {
    return [...new Set(await this.#ofAll((key) => link.run(occupants, [key], [String(commonLife)])))]
  }

  async #ofAll(ask: (key: string) => Promise<unknown>): Promise<string[]> {
    const keys = Array.from({ length: groups }, (_, group) => this.#keys.occupied(group))
    return (await Promise.all(keys.map(ask))).flatMap(strings)
  }

  #keyOf(topic: string): string {
    return this.#keys.occupied(groupOf(topic) % groups)
  }
}

function readCount(answer: unknown): Occupied {
  const [nodes, isNew] = answer as [number, number]
  return { nodes, isNew: isNew > 0 }
}
