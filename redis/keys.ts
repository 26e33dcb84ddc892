/**
 * The names of keys and channels. What one script touches has one hash tag, `{…}`, so that it lies on one node of a Redis Cluster.
 * A tag is never empty: Redis would not take an empty one for a tag.
 */

/** Claims are in so many groups, each with a tag of its own: a script can keep all claims of a group. */
const groups = 256

export interface TopicKeys {
  /** Hash: `e` the epoch, `o` the last offset, `m` when which offset was reached. */
  readonly meta: string
  /** Stream: what is kept of the topic, each entry under its offset. */
  readonly log: string
  /** Hash: the last number of each publisher, and when it came. */
  readonly senders: string
  readonly channel: string
}

export class Keys {
  readonly #prefix: string
  /** Hash: the records of all nodes, with the ends of their leases. */
  readonly nodes: string
  /** Hash: the values that all nodes share. */
  readonly common: string

  constructor(prefix: string) {
    this.#prefix = prefix
    this.nodes = `${prefix}{nodes}:records`
    this.common = `${prefix}{nodes}:common`
  }

  /** Hash: says whether a server still has what it had. There is one on each node of a Redis Cluster, with another number. */
  born(number: number): string {
    return `${this.#prefix}{b:${number}}:born`
  }

  /** Hash: the nodes that have subscribers, as a JSON array, by topic. */
  occupied(group: number): string {
    return `${this.#prefix}{o:${group}}:occupied`
  }

  /** The channel of a node. */
  node(name: string): string {
    return `${this.#prefix}{n:${name}}:told`
  }

  /**
   * Hash: who has a session. `n` the node and `f` the fence of its claim; `p` instead of `n` if the session was handed over and
   * waits: who may take it; `s` what was handed over, until the node goes on with it, `q` who may have that, and `g` which master of
   * Redis wrote it; `e` if the session has ended. Of a session in durable mode also `k`: who may take over what is stored; `m`: it was
   * taken over; and fields that begin with `:`: what is stored.
   */
  owner(session: string): string {
    return `${this.#prefix}{s:${groupOf(session)}}:${session}:owner`
  }

  topic(topic: string): TopicKeys {
    const start = `${this.#prefix}{t:${topic}}`
    return {
      meta: `${start}:meta`,
      log: `${start}:log`,
      senders: `${start}:senders`,
      channel: `${start}:published`,
    }
  }
}

/** The group of claims that a session belongs to. */
export function groupOf(session: string): number {
  // FNV-1a.
  let hash = 0x811c9dc5
  for (let at = 0; at < session.length; at++) hash = Math.imul(hash ^ session.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % groups
}

/** The slot of a Redis Cluster where a key or channel with a hash tag is. */
export function slotOf(key: string): number {
  const start = key.indexOf('{') + 1
  const tag = Buffer.from(key.slice(start, key.indexOf('}', start)))
  // CRC-16 as XMODEM has it: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
  let crc = 0
  for (const byte of tag) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc % 16_384
}
