/** The header of a passed request: which node it is for, whose client it is, and the proof that a node of the cluster wrote it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Passed } from '../../server/base/cluster.ts'

export const passedHeader = 'x-everwire-passed'

/** The parts of a request that the proof covers: a proof that somebody has seen is of no use on another request. */
export interface Signed {
  readonly method: string
  readonly url: string
  /** The subprotocols of a handshake, which contain the key of its session. */
  readonly protocols?: string | undefined
}

/** How many results are kept: a client's exchanges are signed alike. Those of handshakes are not: they come once and contain a key. */
const kept = 1_000

/** The latest results, by what they were computed from. They are forgotten when the secret changes. */
class Lately<T> {
  readonly #all = new Map<string, T>()
  #secret = ''

  get(key: string, secret: string): T | undefined {
    if (secret !== this.#secret) this.#all.clear()
    this.#secret = secret
    return this.#all.get(key)
  }

  keep(key: string, value: T): T {
    this.#all.set(key, value)
    if (this.#all.size > kept) this.#all.delete(this.#all.keys().next().value as string)
    return value
  }
}

/** Writes the value of the header. */
export class Signer {
  readonly #secret: () => string
  readonly #lately = new Lately<string>()

  constructor(secret: () => string) {
    this.#secret = secret
  }

  sign(to: string, passed: Passed, signed: Signed): string {
    const { address, scheme, host, adopt, carried } = passed
    const whole = JSON.stringify([to, address, scheme ?? '', host, adopt ? 'adopt' : '', carried ?? ''])
    const key = signed.protocols === undefined ? `${signed.method} ${signed.url} ${whole}` : ''
    const secret = this.#secret()
    const known = key && this.#lately.get(key, secret)
    if (known) return known
    const said = Buffer.from(whole).toString('base64url')
    const header = `${said}.${proof(secret, said, signed)}`
    return key ? this.#lately.keep(key, header) : header
  }
}

/** Reads the header. The result is undefined if no node of this cluster has written the header for this node and this request. */
export class SignatureReader {
  readonly #secret: () => string
  readonly #self: string
  readonly #lately = new Lately<Passed>()

  constructor(secret: () => string, self: string) {
    this.#secret = secret
    this.#self = self
  }

  read(headers: IncomingHttpHeaders, signed: Signed): Passed | undefined {
    const header = headers[passedHeader]
    const key = signed.protocols === undefined ? `${signed.method} ${signed.url} ${header}` : ''
    const secret = this.#secret()
    const known = key && this.#lately.get(key, secret)
    if (known) return known
    const passed = readSigned(secret, this.#self, headers, signed)
    // Only valid headers are kept, so a stranger cannot push them out.
    return passed && key ? this.#lately.keep(key, passed) : passed
  }
}

function readSigned(
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
