/** Who is let in: the application's own check, and the subprotocol it chooses. */
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { addressOf, schemeOf } from './address.ts'
import { isToken, type Refusal } from './handshake.ts'
import type { ResolvedOptions } from './options.ts'
import { originOf } from './origins.ts'

export async function verify(
  options: ResolvedOptions,
  request: IncomingMessage,
): Promise<Refusal | undefined> {
  if (!options.verifyClient) return undefined
  const info = {
    origin: originOf(request),
    secure: schemeOf(request, options) === 'https',
    address: addressOf(request, options),
    req: request,
  }
  const refused: Refusal = { status: 401, reason: 'Unauthorized' }
  if (options.verifyClient.length < 2) return (await options.verifyClient(info, ignore)) ? undefined : refused
  return new Promise((resolve, reject) => {
    const called = options.verifyClient?.(
      info,
      (ok, status = 401, reason = STATUS_CODES[status] ?? '', headers) => {
        resolve(ok ? undefined : { status, reason, ...(headers && { headers }) })
      },
    )
    Promise.resolve(called).catch(reject)
  })
}

/** The subprotocol, or none. As with `ws` it is for the client to refuse what it has not offered. */
export function choose(options: ResolvedOptions, offered: Set<string>, request: IncomingMessage): string {
  const [first = ''] = offered
  if (first === '' || !options.handleProtocols) return first
  const chosen = options.handleProtocols(offered, request)
  return isToken(chosen) ? chosen : ''
}

function ignore(): void {}
