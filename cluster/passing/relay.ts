/**
 * Connections to other nodes through the store, for nodes that cannot reach each other. The bytes of these connections travel as
 * frames, by the engine's `tell`. If a frame is lost, all connections between the two nodes end, and their clients' sessions go on
 * over new ones. The bytes on their way are bounded for each connection and for each node.
 */
import { randomBytes } from 'node:crypto'
import { Fifo } from '../../shared/fifo.ts'
import type { Engine } from '../base/engine.ts'
import { type Frame, type FrameKind, readFrame, writeFrame } from './frames.ts'
import { Tunnel, type TunnelHost } from './tunnel.ts'

export interface RelayHost {
  readonly engine: Pick<Engine, 'tell'>
  /** The name of this node. */
  readonly name: string
  /** The secret of the cluster: it proves that a node of the cluster wrote a frame. */
  secret(): string
  /** Another node has made a connection. */
  connected(tunnel: Tunnel): void
}

/** The most bytes on their way to a node: a store cuts off a node that does not keep up. */
const maxOnTheWay = 2 * 1024 * 1024
/** After this many bytes from the other node this node tells it that they have come. */
const worthTelling = maxOnTheWay / 8
/** The most connections with one node. */
const maxTunnels = 10_000
/** Numbers begin at the age of the process in ms times this, so that they rise even if the other node was forgotten meanwhile. */
const numbersPerMillisecond = 100

const nothing = Buffer.alloc(0)
const none = '0'.repeat(16)

interface Waiting {
  readonly tunnel: Tunnel
  readonly bytes: Buffer
  readonly sent: () => void
}

/** Another node. */
interface Peer {
  readonly node: string
  readonly tunnels: Map<string, Tunnel>
  /** The number of the last frame to it. */
  sent: number
  /** The number of the last frame from it; undefined before the first. */
  received: number | undefined
  /** The frames on their way, oldest first. */
  way: Fifo<{ readonly seq: number; readonly bytes: number }>
  onTheWay: number
  waiting: Fifo<Waiting>
  /** The bytes that have come since the other node was last told so. */
  untold: number
}

export class Relay implements TunnelHost {
  readonly #host: RelayHost
  readonly #peers = new Map<string, Peer>()
  /** Connections whose first bytes are still to be sent. */
  readonly #unopened = new Set<Tunnel>()
  /** Connections whose end the other nodes are told when the store can be reached again. */
  #resets: Tunnel[] = []
  #isUp = true
  #isClosed = false

  constructor(host: RelayHost) {
    this.#host = host
  }

  /** The nodes with which something was exchanged. */
  get nodes(): Iterable<string> {
    return this.#peers.keys()
  }

  /** A connection to this node; it is `connecting` until the node has taken it. */
  connect(node: string): Tunnel {
    const peer = this.#peer(node)
    const tunnel = new Tunnel(this, node, randomBytes(8).toString('hex'), true)
    // Whoever uses the tunnel notices its end.
    tunnel.on('error', ignore)
    peer.tunnels.set(tunnel.id, tunnel)
    this.#unopened.add(tunnel)
    if (!this.#isUp || this.#isClosed || peer.tunnels.size > maxTunnels)
      tunnel.destroy(new Error('No connection can be made now'))
    return tunnel
  }

  /** A frame came for this node. */
  told(data: Uint8Array): void {
    const frame = readFrame(this.#host.secret(), this.#host.name, data)
    if (!frame || this.#isClosed) return
    const peer = this.#peer(frame.from)
    const { received } = peer
    // The frame comes a second time.
    if (received !== undefined && frame.seq <= received) return
    peer.received = frame.seq
    if (received !== undefined && frame.seq !== received + 1) this.#breakUp(peer)
    this.#count(peer, frame)
    this.#take(peer, frame)
  }

  /** Whether the store can be reached. If not, the frames under way are lost. */
  connection(isUp: boolean): void {
    if (this.#isUp === isUp) return
    this.#isUp = isUp
    if (!isUp) for (const peer of this.#peers.values()) this.#breakUp(peer)
    else for (const tunnel of this.#resets.splice(0)) this.#tell(this.#peer(tunnel.node), 'reset', tunnel.id)
  }

  /** The node is dead. */
  forget(node: string): void {
    const peer = this.#peers.get(node)
    if (!peer) return
    this.#breakUp(peer)
    this.#peers.delete(node)
  }

  close(): void {
    for (const peer of this.#peers.values()) this.#breakUp(peer)
    this.#isClosed = true
  }

  // ---- for tunnels ----

  send(tunnel: Tunnel, bytes: Buffer, sent: () => void): void {
    const peer = this.#peer(tunnel.node)
    if (peer.waiting.length > 0 || (peer.onTheWay > 0 && peer.onTheWay + bytes.length > maxOnTheWay))
      peer.waiting.push({ tunnel, bytes, sent })
    else this.#send(peer, { tunnel, bytes, sent })
  }

  read(tunnel: Tunnel, bytes: number): void {
    this.#tell(this.#peer(tunnel.node), 'read', tunnel.id, numberOf(bytes))
  }

  end(tunnel: Tunnel): void {
    this.#tell(this.#peer(tunnel.node), 'end', tunnel.id)
  }

  over(tunnel: Tunnel): void {
    const peer = this.#peers.get(tunnel.node)
    if (!peer?.tunnels.delete(tunnel.id)) return
    // The other node knows nothing of a connection that was not opened.
    if (this.#unopened.delete(tunnel) || this.#isClosed) return
    // Both directions have ended, and the other node may still be reading: do not reset.
    if (tunnel.readableEnded && tunnel.writableFinished) return
    if (this.#isUp) this.#tell(peer, 'reset', tunnel.id)
    else this.#resets.push(tunnel)
  }

  // ---- frames ----

  #peer(node: string): Peer {
    let peer = this.#peers.get(node)
    if (!peer) {
      peer = {
        node,
        tunnels: new Map(),
        sent: Math.floor(performance.now() * numbersPerMillisecond),
        received: undefined,
        way: new Fifo(),
        onTheWay: 0,
        waiting: new Fifo(),
        untold: 0,
      }
      this.#peers.set(node, peer)
    }
    return peer
  }

  #take(peer: Peer, { kind, id, payload }: Frame): void {
    if (kind === 'got') {
      this.#hasGot(peer, payload.readUIntBE(0, 6))
      return
    }
    if (kind === 'open') this.#open(peer, id)
    const tunnel = peer.tunnels.get(id)
    if (!tunnel) {
      // A connection that has ended in both directions here may still be read at the other node.
      if (kind !== 'reset' && kind !== 'read') this.#tell(peer, 'reset', id)
      return
    }
    if (kind === 'open' || kind === 'data') tunnel.came(payload)
    else if (kind === 'taken') tunnel.taken()
    else if (kind === 'read') tunnel.mayMore(payload.readUIntBE(0, 6))
    else if (kind === 'end') tunnel.ended()
    else {
      peer.tunnels.delete(id)
      this.#unopened.delete(tunnel)
      tunnel.destroy(new Error('The other node has ended the connection'))
    }
  }

  #open(peer: Peer, id: string): void {
    if (peer.tunnels.has(id) || peer.tunnels.size >= maxTunnels) return
    const tunnel = new Tunnel(this, peer.node, id, false)
    tunnel.on('error', ignore)
    peer.tunnels.set(id, tunnel)
    this.#tell(peer, 'taken', id)
    this.#host.connected(tunnel)
  }

  /** Tells the other node from time to time up to which frame all have come. */
  #count(peer: Peer, { seq, payload }: Frame): void {
    peer.untold += payload.length
    if (peer.untold < worthTelling) return
    peer.untold = 0
    this.#tell(peer, 'got', none, numberOf(seq))
  }

  #hasGot(peer: Peer, seq: number): void {
    while ((peer.way.at(0)?.seq ?? Number.POSITIVE_INFINITY) <= seq)
      peer.onTheWay -= peer.way.shift()?.bytes ?? 0
    for (;;) {
      const next = peer.waiting.at(0)
      if (!next || (peer.onTheWay > 0 && peer.onTheWay + next.bytes.length > maxOnTheWay)) return
      peer.waiting.shift()
      this.#send(peer, next)
    }
  }

  #send(peer: Peer, { tunnel, bytes, sent }: Waiting): void {
    if (tunnel.destroyed) return
    const kind = this.#unopened.delete(tunnel) ? 'open' : 'data'
    peer.onTheWay += bytes.length
    this.#tell(peer, kind, tunnel.id, bytes, sent)
    if (bytes.length > 0) peer.way.push({ seq: peer.sent, bytes: bytes.length })
  }

  #tell(peer: Peer, kind: FrameKind, id: string, payload: Buffer = nothing, sent: () => void = ignore): void {
    if (this.#isClosed) return
    const { engine, name, secret } = this.#host
    const frame = writeFrame(secret(), peer.node, { kind, from: name, id, seq: ++peer.sent, payload })
    engine.tell(peer.node, frame).then(sent, () => {
      // The other node sees by the next number that a frame is missing.
      peer.tunnels.get(id)?.destroy(new Error('The store cannot be reached'))
    })
  }

  /** A frame is lost between the two nodes: ends all connections between them. */
  #breakUp(peer: Peer): void {
    peer.way = new Fifo()
    peer.waiting = new Fifo()
    peer.onTheWay = 0
    peer.untold = 0
    for (const tunnel of [...peer.tunnels.values()])
      tunnel.destroy(new Error('Something was lost between the two nodes'))
  }
}

function numberOf(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6)
  bytes.writeUIntBE(value, 0, 6)
  return bytes
}

function ignore(): void {}
