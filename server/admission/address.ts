/**
 * The client's address, host and scheme. Behind a proxy the connection knows none of them, so the proxy's headers
 * (`X-Forwarded-For`, `-Host`, `-Proto`) are believed as far as the option `trustProxy` allows, in the manner of Express.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import type { Passed } from '../base/cluster.ts'
import { ownText } from '../base/own-text.ts'
import { rethrow } from '../base/turn.ts'

/** Whether to believe the proxy at this address; `hop` 0 is the proxy that is connected to the server. */
export type TrustRule = (address: string, hop: number) => boolean
/** Which proxies are believed: see the option `trustProxy`. */
export type TrustProxy = boolean | number | string | readonly string[] | TrustRule

interface Trusting {
  readonly trustProxy?: TrustProxy | undefined
}

const ranges: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.1/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

const isLocal = compileSubnets(Object.keys(ranges))
const nobody: TrustRule = () => false

/** The latest compiled rule for each server's options, which may be changed while the server runs. */
const compiled = new WeakMap<Trusting, { readonly from: TrustProxy; readonly rule: TrustRule }>()

/** Makes a rule of the option `trustProxy`. Throws if the value is invalid. */
export function compileTrust(given: unknown): TrustRule {
  if (typeof given === 'boolean') return () => given
  if (typeof given === 'function') return (address, hop) => given(address, hop) === true
  if (typeof given === 'number') {
    if (Number.isInteger(given) && given >= 0) return (_address, hop) => hop < given
    throw new RangeError('The option "trustProxy", as a number of hops, must be a whole number of at least 0')
  }
  const list = typeof given === 'string' ? given.split(',').map((one) => one.trim()) : given
  if (Array.isArray(list)) return compileSubnets(list)
  throw new TypeError(
    'The option "trustProxy" must be a boolean, a number of hops, addresses and subnets, or a function',
  )
}

const passedFrom: unique symbol = Symbol('passed')

/** Notes what another server of the cluster knows of the client: its own connection tells nothing of it. */
export function notePassed(request: IncomingMessage, passed: Passed): void {
  ;(request as FromCluster)[passedFrom] = passed
}

/** What another server of the cluster knows of the client; undefined if the request came to this one. */
export function passedBy(request: IncomingMessage): Passed | undefined {
  return (request as FromCluster)[passedFrom]
}

type FromCluster = IncomingMessage & { [passedFrom]?: Passed }

/** The client's address, as far as proxies are believed; empty if it is unknown. */
export function addressOf(request: IncomingMessage, options: Trusting): string {
  const passed = passedBy(request)
  if (passed) return passed.address
  const trusts = trustOf(request, options)
  const peer = peerOf(request)
  let address = peer
  const chain = String(request.headers['x-forwarded-for'] ?? '').split(',')
  for (let hop = 0; hop < chain.length && trusts(address, hop); hop++) {
    const before = normal(chain[chain.length - 1 - hop] as string)
    // A value that is no address ends the chain: a client may have written it, at any length.
    if (before === '') break
    address = before
  }
  return address === peer ? peer : ownText(address)
}

/** The scheme that the page used, if it can be known: a proxy that does not tell may have ended TLS. */
export function schemeOf(request: IncomingMessage, options: Trusting): 'http' | 'https' | undefined {
  const passed = passedBy(request)
  if (passed) return passed.scheme
  const forwarded = firstOf(request, 'x-forwarded-proto').toLowerCase()
  // Some proxies send `ws` or `wss` for a WebSocket.
  const scheme = /^(http|ws)(s?)$/.exec(forwarded)
  if (scheme && trustsPeer(request, options)) return scheme[2] === 's' ? 'https' : 'http'
  return isEncrypted(request) ? 'https' : undefined
}

/** The requested host with its port; empty if the client did not send it. */
export function hostOf(request: IncomingMessage, options: Trusting): string {
  const passed = passedBy(request)
  if (passed) return passed.host
  const forwarded = firstOf(request, 'x-forwarded-host')
  if (forwarded !== '' && trustsPeer(request, options)) return forwarded
  const { headers, httpVersionMajor } = request
  // HTTP/2 sends the host in a pseudo-header.
  const authority = httpVersionMajor >= 2 ? headers[':authority'] : undefined
  return typeof authority === 'string' ? authority : (headers.host ?? '')
}

/** Whether to believe the peer of the connection as a proxy. */
export function trustsPeer(request: IncomingMessage, options: Trusting): boolean {
  return trustOf(request, options)(peerOf(request), 0)
}

/** Whether the option or the Express application says which proxies there are. */
export function knowsProxies(request: IncomingMessage, options: Trusting): boolean {
  if (options.trustProxy !== undefined) return true
  const said = applicationOf(request)?.get('trust proxy')
  return said !== undefined && said !== false
}

/** Whether the address is not a public one: many clients that come from it came through a proxy. */
export function mayBeProxy(address: string): boolean {
  return address === '' || isLocal(address, 0)
}

/** The latest address that was counted, and its key: the key of each new client is asked for several times. */
let latestCounted = ''
let latestKey = ''

/** The key under which clients are counted: with IPv6 the network of 64 bits, all of whose addresses one client may use. */
export function countedAs(address: string): string {
  if (address !== latestCounted) {
    latestKey = keyOf(address)
    latestCounted = address
  }
  return latestKey
}

function keyOf(address: string): string {
  if (!isIPv6(address)) return address
  const whole = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [front = '', back = ''] = whole.split('::')
  const [first, last] = [front, back].map((part) => (part === '' ? [] : part.split(':'))) as [
    string[],
    string[],
  ]
  const zeros = Array<string>(whole.includes('::') ? 8 - first.length - last.length : 0).fill('0')
  return `${[...first, ...zeros, ...last].slice(0, 4).join(':')}::/64`
}

function trustOf(request: IncomingMessage, options: Trusting): TrustRule {
  const { trustProxy } = options
  if (trustProxy === undefined) return trustOfExpress(request)
  let last = compiled.get(options)
  if (last?.from !== trustProxy) {
    last = { from: trustProxy, rule: guarded(() => compileTrust(trustProxy)) ?? nobody }
    compiled.set(options, last)
  }
  const { rule } = last
  return (address, hop) => guarded(() => rule(address, hop)) ?? false
}

/** The rule that the Express application of the request has set. */
function trustOfExpress(request: IncomingMessage): TrustRule {
  const rule = applicationOf(request)?.get('trust proxy fn')
  if (typeof rule !== 'function') return nobody
  return (address, hop) => guarded(() => Boolean(rule(address, hop))) ?? false
}

interface Application {
  get(setting: string): unknown
}

function applicationOf(request: IncomingMessage): Application | undefined {
  const { app } = request as { app?: Partial<Application> | null }
  return typeof app?.get === 'function' ? (app as Application) : undefined
}

/** Runs the application's code. An exception goes to the application, and nobody is believed by mistake. */
function guarded<Result>(run: () => Result): Result | undefined {
  try {
    return run()
  } catch (error) {
    rethrow(error)
    return undefined
  }
}

/** Asks Node for the peer's address now, because Node keeps it only if it was asked while the connection was open. */
export function keepAddress({ socket }: IncomingMessage): void {
  void socket?.remoteAddress
}

/** The latest address of a peer, as Node writes it and as it is counted: each request asks for it several times. */
let latest = ''
let latestNormal = ''

/** The address of the connection's peer: the client or the last proxy. Empty on a Unix socket. */
function peerOf({ socket }: IncomingMessage): string {
  const address = socket?.remoteAddress ?? ''
  if (address !== latest) {
    latest = address
    latestNormal = normal(address)
  }
  return latestNormal
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as { encrypted?: boolean } | undefined)?.encrypted === true
}

/** The first value of a header: proxies that do not overwrite a header append to it, so this value is the client's side. */
function firstOf({ headers }: IncomingMessage, name: string): string {
  return String(headers[name] ?? '')
    .split(',', 1)[0]
    ?.trim() as string
}

/** An address in one spelling: IPv4 also where IPv6 wraps it, without zone and port. Empty if it is no address. */
function normal(written: string): string {
  const bare = written.trim().toLowerCase()
  // Some proxies add the port.
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/.exec(bare) ?? []
  const [address = ''] = (bracketed ?? dotted ?? bare).split('%', 1)
  const wrapped = isIPv6(address) ? unwrapped(address) : undefined
  return wrapped ?? (isIP(address) === 0 ? '' : address)
}

/** The IPv4 address in `::ffff:1.2.3.4`, in any spelling. */
function unwrapped(address: string): string | undefined {
  const [, high, low] =
    /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(new URL(`http://[${address}]`).hostname) ?? []
  if (high === undefined || low === undefined) return undefined
  return [high, low]
    .flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255])
    .join('.')
}

function compileSubnets(list: readonly unknown[]): TrustRule {
  const subnets = new BlockList()
  for (const one of list) {
    for (const subnet of Object.hasOwn(ranges, one as string)
      ? (ranges[one as string] as readonly string[])
      : [one])
      addSubnet(subnets, subnet)
  }
  return (address) => isIP(address) !== 0 && subnets.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

function addSubnet(subnets: BlockList, subnet: unknown): void {
  const [written = '', size, more] = typeof subnet === 'string' ? subnet.split('/') : []
  const address = isIP(written) === 0 ? '' : normal(written)
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const most = family === 'ipv4' ? 32 : 128
  // The prefix length of a wrapped address includes the 96 bits of the wrapping.
  const wrapping = isIPv6(written) && family === 'ipv4' ? 96 : 0
  const prefix = size === undefined ? most : prefixIn(size) - wrapping
  if (address === '' || more !== undefined || !(prefix > 0 && prefix <= most)) {
    throw new TypeError(
      `The option "trustProxy" must contain addresses ("10.0.0.1"), subnets ("10.0.0.0/8"), "loopback", "linklocal" or "uniquelocal"; got ${JSON.stringify(subnet)}`,
    )
  }
  subnets.addSubnet(address, prefix, family)
}

/** The prefix length in `24` or in `255.255.255.0`. */
function prefixIn(size: string): number {
  if (/^\d{1,3}$/.test(size)) return Number(size)
  if (!isIPv4(size)) return Number.NaN
  const bits = size
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? bits.indexOf('0') + (bits.includes('0') ? 0 : 33) : Number.NaN
}
