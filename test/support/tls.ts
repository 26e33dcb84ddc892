import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { selfSigned } from '../../scripts/self-signed.mjs'

export { selfSigned }

/** An https server for `localhost`, with a certificate that nobody has reason to trust. */
export function secureServer(listener: RequestListener, certificate: object = selfSigned()): Server {
  return createServer(certificate, listener)
}
