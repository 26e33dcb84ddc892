/** Takes the requests that other nodes pass on, at an address of its own: clients are never let near it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Duplex } from 'node:stream'
import type { Passed } from '../../server/base/cluster.ts'
import { refuseUpgrade } from '../../server/base/handshake.ts'
import { refuse } from '../../server/base/responses.ts'
import { passedHeader, SignatureReader } from './signature.ts'

/** Where a node listens for the others, and what it tells them. */
export interface ListenOptions {
  /** The address to listen on. Default: the machine's first address that is not loopback. */
  readonly host?: string | undefined
  /** Default: any free port. */
  readonly port?: number | undefined
}

/** What the listener needs of the node. */
export interface ListenerHost {
  readonly name: string
  /** The present secret of the cluster. */
  secret(): string
  request(request: IncomingMessage, response: ServerResponse, passed: Passed): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, passed: Passed): void
}

/** Larger than the heads that servers in front take from clients, with what the node adds that passes a request on. */
const maxHeaderSize = 1024 * 1024

const forged = {
  status: 403,
  reason: 'Only nodes of the cluster may ask here',
  headers: { [passedHeader]: 'refused' },
}

export class Listener {
  readonly #server: Server
  /** The connections of WebSockets, which the server does not know any more. */
  readonly #upgraded = new Set<Duplex>()

  constructor(host: ListenerHost) {
    const signatures = new SignatureReader(host.secret, host.name)
    this.#server = createServer({ keepAliveTimeout: 65_000, maxHeaderSize }, (request, response) => {
      const passed = signatures.read(request.headers, signedOf(request))
      if (passed) host.request(request, response, passed)
      else refuse(response, forged)
    })
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const passed = signatures.read(request.headers, signedOf(request))
      if (passed) {
        this.#upgraded.add(socket)
        socket.once('close', () => this.#upgraded.delete(socket))
        host.upgrade(request, socket, head, passed)
      } else refuseUpgrade(socket, forged)
    })
  }

  /** Listens, and resolves with the address that other nodes reach, as `host:port`. */
  async listen({ host = ownAddress(), port = 0 }: ListenOptions): Promise<string> {
    const server = this.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // Workers of `node:cluster` would share a port, and each would get requests for the others.
      server.listen({ port, host, exclusive: true }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    const { address, family, port: taken } = server.address() as AddressInfo
    if (address === '0.0.0.0' || address === '::') return `${ownAddress()}:${taken}`
    return family === 'IPv6' ? `[${address}]:${taken}` : `${address}:${taken}`
  }

  /** Takes a connection that another node has made in another way. */
  take(connection: Duplex): void {
    this.#server.emit('connection', connection)
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
      for (const socket of this.#upgraded) socket.destroy()
    })
  }
}

function signedOf({ method = '', url = '', headers }: IncomingMessage) {
  return { method, url, protocols: headers['sec-websocket-protocol'] }
}

/** The machine's first address that other machines can reach; else loopback. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1'
}
