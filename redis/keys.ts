/**
 * The names of keys and channels. All keys of one script have the same hash tag, `{…}`, so that they lie on one node of a Redis
 * Cluster. A tag is never empty: Redis would not take an empty one for a tag.
 */

/** The number of groups of claims. Each has a tag of its own, so one script can keep all claims of a group. */
const groups = 256

export interface TopicKeys {
  /** Hash: `e` the epoch, `o` the last offset, `m` marks, which say at what time an offset was reached. */
  readonly meta: string
  /** Stream: the entries that are kept of the topic, each under its offset. */
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

  /** Hash: a mark that shows whether a server has lost its data. Each master of a Redis Cluster has one, with a number of its own. */
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
   * Hash: who has a session. A proof is a hash of the session's key: only a client with the key has it.
   * - `n`, `f`: the node, and the fence of its claim.
   * - `p` instead of `n`: the session was handed over and waits; the proof.
   * - `s`: what was handed over, until a node goes on with it; `q`: the proof for it; `g`: the master of Redis that wrote it.
   * - `e`: the session has ended.
   * - In durable mode, fields that begin with `:`: the record; `k`: the proof for it; `m`: a node has taken it over.
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
