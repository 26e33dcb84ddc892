// Real Redis servers: each a process of its own with an empty folder, until it is stopped.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type RedisClientType } from 'redis'
import { findTool } from '../../scripts/tools.mjs'
import { freePort } from './proxies.ts'
import { selfSigned } from './tls.ts'

/** A connection for the test itself. */
export type Admin = RedisClientType

export class RedisServer {
  readonly port: number
  readonly folder: string
  readonly #args: readonly string[]
  readonly #isSecure: boolean
  #child: ChildProcess | undefined
  #admin: Admin | undefined

  private constructor(port: number, folder: string, args: readonly string[], isSecure: boolean) {
    this.port = port
    this.folder = folder
    this.#args = args
    this.#isSecure = isSecure
  }

  static async start(args: readonly string[] = [], port?: number): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'everwire-redis-'))
    const server = new RedisServer(port ?? (await freePort()), folder, args, false)
    await server.run()
    return server
  }

  /** With TLS alone, a certificate that nobody has reason to trust, and the password `p@ss word`. */
  static async startSecure(): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'everwire-redis-'))
    const { key, cert } = selfSigned()
    writeFileSync(join(folder, 'key.pem'), key)
    writeFileSync(join(folder, 'cert.pem'), cert)
    const port = await freePort()
    const tls = ['--tls-port', `${port}`, '--tls-auth-clients', 'no']
    const files = ['--tls-key-file', join(folder, 'key.pem'), '--tls-cert-file', join(folder, 'cert.pem')]
    const server = new RedisServer(port, folder, ['--requirepass', 'p@ss word', ...tls, ...files], true)
    await server.run()
    return server
  }

  /** A Sentinel that watches a master under the name `main`, alone. */
  static async startSentinel(master: number): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'everwire-redis-'))
    const file = join(folder, 'sentinel.conf')
    writeFileSync(
      file,
      `sentinel monitor main 127.0.0.1 ${master} 1\nsentinel down-after-milliseconds main 2000\n`,
    )
    const server = new RedisServer(await freePort(), folder, [file, '--sentinel'], false)
    await server.run()
    return server
  }

  get url(): string {
    return this.#isSecure
      ? `rediss://:p%40ss%20word@127.0.0.1:${this.port}`
      : `redis://127.0.0.1:${this.port}`
  }

  get admin(): Admin {
    if (!this.#admin) throw new Error('Redis does not run')
    return this.#admin
  }

  /** Starts the process, also again. */
  async run(): Promise<void> {
    const path = findTool('redis-server')
    if (!path) throw new Error('There is no redis-server: put the tests that use it inside needs().')
    const common = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.folder]
    const port = this.#isSecure ? '0' : `${this.port}`
    const isSentinel = this.#args.includes('--sentinel')
    const args = isSentinel ? [...this.#args, '--port', port] : ['--port', port, ...common, ...this.#args]
    const child = spawn(path, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    await new Promise<void>((resolve, reject) => {
      let said = ''
      child.stdout.on('data', (chunk) => {
        said += chunk
        if (/Ready to accept connections|\+monitor master/.test(said)) resolve()
      })
      child.once('exit', () => reject(new Error(`redis-server does not start: ${said}`)))
    })
    const socket = this.#isSecure ? { socket: { tls: true as const, rejectUnauthorized: false } } : {}
    const admin: Admin = createClient({ url: this.url, ...socket })
    admin.on('error', () => {})
    this.#admin = await admin.connect()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends the process. What it knew is lost, unless it was saved. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#admin?.destroy()
    this.#admin = undefined
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  async stop(): Promise<void> {
    await this.end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Three masters that share the slots. */
export async function startRedisCluster(): Promise<RedisServer[]> {
  const servers = await Promise.all(
    [0, 1, 2].map(() => RedisServer.start(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'])),
  )
  const [first, ...others] = servers as [RedisServer, ...RedisServer[]]
  for (const [at, { admin }] of servers.entries())
    await admin.clusterAddSlotsRange({
      start: at * 5461 + (at && 1),
      end: at === 2 ? 16_383 : (at + 1) * 5461,
    })
  for (const [at, { admin }] of servers.entries())
    await admin.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', `${at + 1}`])
  for (const { port } of others) await first.admin.clusterMeet('127.0.0.1', port)
  for (const { admin } of servers) {
    const know = async (): Promise<boolean> => {
      const info = await admin.clusterInfo()
      return (
        /cluster_state:ok/.test(info) &&
        /cluster_known_nodes:3/.test(info) &&
        /cluster_slots_ok:16384/.test(info)
      )
    }
    // They tell each other by gossip, and tell nobody else when they have done so.
    while (!(await know()));
  }
  return servers
}
