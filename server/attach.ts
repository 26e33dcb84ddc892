/**
 * Living on somebody's HTTP server: what is ours is taken before any other listener sees it (some answer every upgrade they
 * do not know with an error), and what is not is left alone, whenever its listeners came.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Tenant {
  /** Whether what comes to this path is known to be its own, though it takes no requests before the application does. */
  isHere?(path: string): boolean
  /** Returns whether it took it. */
  request?(request: IncomingMessage, response: ServerResponse): boolean
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
}

const tenants = new WeakMap<Server, Set<Tenant>>()

export function attach(server: Server, tenant: Tenant): () => void {
  const already = tenants.get(server)
  const all = already ?? new Set<Tenant>()
  all.add(tenant)
  if (already === undefined) {
    tenants.set(server, all)
    intercept(server, all)
  }
  return () => all.delete(tenant)
}

export function isAttached(server: Server, tenant: Tenant): boolean {
  return tenants.get(server)?.has(tenant) ?? false
}

/** Whether somebody else is there for what comes to this path. */
export function isTenanted(server: Server, path: string): boolean {
  for (const tenant of tenants.get(server) ?? []) if (tenant.isHere?.(path)) return true
  return false
}

function intercept(server: Server, all: Set<Tenant>): void {
  const emit = server.emit
  server.emit = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'upgrade') {
      const [request, socket, head] = args as [IncomingMessage, Duplex, Buffer]
      for (const tenant of all) if (tenant.upgrade(request, socket, head)) return true
    } else if (event === 'request') {
      const [request, response] = args as [IncomingMessage, ServerResponse]
      for (const tenant of all) if (tenant.request?.(request, response)) return true
    }
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as Server['emit']
}
