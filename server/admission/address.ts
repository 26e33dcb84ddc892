/**
 * Who a request is from, and what it asked for: with a proxy in front, the connection knows neither. What a proxy says of
 * them (`X-Forwarded-For`, `-Host`, `-Proto`) is believed as the option `trustProxy` says, in the manner of Express.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { rethrow } from '../base/turn.ts'

/** Whether what the proxy at this address says is believed; `hop` 0 is the one that is connected to the server. */
export type TrustRule = (address: string, hop: number) => boolean
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

/** What was compiled last, for each server's options: they may be changed while it runs. */
const compiled = new WeakMap<Trusting, { readonly from: TrustProxy; readonly rule: TrustRule }>()

/** Throws, and says why, if it is none of what the option may be. */
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

/** Of the client, as far as proxies are believed; empty if nobody knows it. */
export function addressOf(request: IncomingMessage, options: Trusting): string {
  const trusts = trustOf(request, options)
  let address = peerOf(request)
  const chain = String(request.headers['x-forwarded-for'] ?? '').split(',')
  for (let hop = 0; hop < chain.length && trusts(address, hop); hop++) {
    const before = normal(chain[chain.length - 1 - hop] as string)
    // What is no address ends the chain: its place may be a client's own words, of any length.
    if (before === '') break
    address = before
  }
  return address
}

/** The scheme of the page's side, where it can be known: outside of a proxy that says nothing, plain HTTP may have been TLS. */
export function schemeOf(request: IncomingMessage, options: Trusting): 'http' | 'https' | undefined {
  const forwarded = firstOf(request, 'x-forwarded-proto').toLowerCase()
  // Some proxies say of a WebSocket that it was one.
  const scheme = /^(http|ws)(s?)$/.exec(forwarded)
  if (scheme && trustsPeer(request, options)) return scheme[2] === 's' ? 'https' : 'http'
  return isEncrypted(request) ? 'https' : undefined
}

/** The host that was asked for, with its port; empty if the client did not say. */
export function hostOf(request: IncomingMessage, options: Trusting): string {
  const forwarded = firstOf(request, 'x-forwarded-host')
  if (forwarded !== '' && trustsPeer(request, options)) return forwarded
  const { headers, httpVersionMajor } = request
  // HTTP/2 has it beside the headers.
  const authority = httpVersionMajor >= 2 ? headers[':authority'] : undefined
  return typeof authority === 'string' ? authority : (headers.host ?? '')
}

/** Whether the proxy that is connected to the server, if it is one, is believed. */
export function trustsPeer(request: IncomingMessage, options: Trusting): boolean {
  return trustOf(request, options)(peerOf(request), 0)
}

/** Whether somebody has said what proxies there are. */
export function knowsProxies(request: IncomingMessage, options: Trusting): boolean {
  if (options.trustProxy !== undefined) return true
  const said = applicationOf(request)?.get('trust proxy')
  return said !== undefined && said !== false
}

/** Not an address of the internet's: many clients that come from there came through a proxy. */
export function mayBeProxy(address: string): boolean {
  return address === '' || isLocal(address, 0)
}

/** What is counted as one: with IPv6 whoever has one address has 2^64 of them. */
export function countedAs(address: string): string {
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

/** As the application says that the request came through. */
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

/** The application's fault is for it to hear of; nobody is believed by mistake. */
function guarded<Result>(run: () => Result): Result | undefined {
  try {
    return run()
  } catch (error) {
    rethrow(error)
    return undefined
  }
}

/** Node can say the address of a connection that has ended if it was asked while the connection was there. */
export function keepAddress({ socket }: IncomingMessage): void {
  void socket?.remoteAddress
}

/** As the server sees it: the client's, or that of the last proxy. Empty on a socket of the file system. */
function peerOf({ socket }: IncomingMessage): string {
  return normal(socket?.remoteAddress ?? '')
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as { encrypted?: boolean } | undefined)?.encrypted === true
}

/** Each proxy that does not overwrite such a header adds to its end: the first is nearest to the client. */
function firstOf({ headers }: IncomingMessage, name: string): string {
  return String(headers[name] ?? '')
    .split(',', 1)[0]
    ?.trim() as string
}

/** An address as it is always written here: IPv4 also where IPv6 wraps it, no zone, no port. Empty if it is none. */
function normal(written: string): string {
  const bare = written.trim().toLowerCase()
  // Some proxies add the port.
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/.exec(bare) ?? []
  const [address = ''] = (bracketed ?? dotted ?? bare).split('%', 1)
  const wrapped = isIPv6(address) ? unwrapped(address) : undefined
  return wrapped ?? (isIP(address) === 0 ? '' : address)
}

/** The IPv4 address in `::ffff:1.2.3.4`, however it is written. */
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
  // The prefix of a wrapped address counts the wrapping.
  const wrapping = isIPv6(written) && family === 'ipv4' ? 96 : 0
  const prefix = size === undefined ? most : prefixIn(size) - wrapping
  if (address === '' || more !== undefined || !(prefix > 0 && prefix <= most)) {
    throw new TypeError(
      `The option "trustProxy" must contain addresses ("10.0.0.1"), subnets ("10.0.0.0/8"), "loopback", "linklocal" or "uniquelocal"; got ${JSON.stringify(subnet)}`,
    )
  }
  subnets.addSubnet(address, prefix, family)
}

/** `24`, or `255.255.255.0`. */
function prefixIn(size: string): number {
  if (/^\d{1,3}$/.test(size)) return Number(size)
  if (!isIPv4(size)) return Number.NaN
  const bits = size
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? bits.indexOf('0') + (bits.includes('0') ? 0 : 33) : Number.NaN
}
