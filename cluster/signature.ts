/** The header of a passed request: which node it is for, whose client it is, and the proof that a node of the cluster wrote it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Passed } from '../server/base/cluster.ts'

export const passedHeader = 'x-everwire-passed'

/** The parts of a request that the proof is about: nobody can put a proof that was seen elsewhere on another request. */
export interface Signed {
  readonly method: string
  readonly url: string
  /** The subprotocols of a handshake, which contain the key of its session. */
  readonly protocols?: string | undefined
}

/** The value of the header. */
export function sign(secret: string, to: string, passed: Passed, signed: Signed): string {
  const { address, scheme, host, adopt, carried } = passed
  const said = Buffer.from(
    JSON.stringify([to, address, scheme ?? '', host, adopt ? 'adopt' : '', carried ?? '']),
  ).toString('base64url')
  return `${said}.${proof(secret, said, signed)}`
}

/** What the header says, if a node of this cluster has written it for this node and this request. */
export function readSigned(
  secret: string,
  self: string,
  headers: IncomingHttpHeaders,
  signed: Signed,
): Passed | undefined {
  const header = headers[passedHeader]
  if (typeof header !== 'string') return undefined
  const [said = '', given = ''] = header.split('.')
  const wanted = Buffer.from(proof(secret, said, signed))
  const came = Buffer.from(given)
  if (wanted.length !== came.length || !timingSafeEqual(wanted, came)) return undefined
  const [to, address, scheme, host, adopt, carried] = JSON.parse(
    Buffer.from(said, 'base64url').toString(),
  ) as string[]
  if (to !== self) return undefined
  return {
    address: address ?? '',
    scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined,
    host: host ?? '',
    adopt: adopt === 'adopt',
    carried,
  }
}

function proof(secret: string, said: string, { method, url, protocols = '' }: Signed): string {
  return createHmac('sha256', secret).update(`${said}\n${method}\n${url}\n${protocols}`).digest('base64url')
}
