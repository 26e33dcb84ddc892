// Real proxies: a program in a folder of its own, with a configuration, until it is stopped.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTool, type Tool } from '../../scripts/tools.mjs'

export interface Proxy {
  readonly port: number
  /** Has nginx read its configuration again, as `nginx -s reload` does: new processes take over from the old ones. */
  reload(): void
  stop(): Promise<void>
}

export type ProxyProgram = Extract<Tool, 'nginx' | 'haproxy' | 'apache2' | 'caddy' | 'squid'>

export interface ProxySetup {
  readonly program: ProxyProgram
  /** What people write; PORT is where to listen, TARGET the server's port. */
  readonly config: string
  /** For nginx: what stands at the top of its file, outside of `http`. */
  readonly top?: string
  /** More files, by their names: FOLDER in the configuration is where they are. */
  readonly files?: Readonly<Record<string, string>>
}

/** A forward proxy needs no `target`. */
export async function startProxy(
  { program, config, top = '', files = {} }: ProxySetup,
  target = 0,
): Promise<Proxy> {
  const path = findTool(program)
  if (!path) throw new Error(`There is no ${program}: put the tests that use it inside needs().`)
  const folder = mkdtempSync(join(tmpdir(), 'everwire-proxy-'))
  const port = await freePort()
  const whole = frames[program]
    .replaceAll('TOP', top)
    .replaceAll('CONFIG', config.trim())
    .replaceAll('FOLDER', folder)
    .replaceAll('PORT', String(port))
    .replaceAll('TARGET', String(target))
  const file = join(folder, 'config')
  writeFileSync(file, whole)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  // As root it becomes somebody else, who reads and writes here.
  if (program === 'squid') chmodSync(folder, 0o777)
  const child = spawn(path, args[program](folder, file), {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Caddy writes its configuration into the home folder otherwise.
    env: { ...process.env, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const stop = async (): Promise<void> => {
    // Apache as one process (-X) would first wait for the requests that it holds.
    await end(child, program === 'apache2' ? 'SIGKILL' : 'SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  }
  while (!(await listens(port))) {
    if (child.exitCode === null && child.signalCode === null) continue
    await stop()
    throw new Error(`${program} does not start: ${said}\n${whole}`)
  }
  return { port, reload: () => void child.kill('SIGHUP'), stop }
}

// As root its workers would otherwise be somebody else, who may not write into our folder.
const user = process.getuid?.() === 0 ? 'user root;' : ''

/** What a package brings around the part that people write. */
const frames: Record<ProxyProgram, string> = {
  nginx: `daemon off; ${user} worker_processes 1; pid FOLDER/pid; error_log stderr error; TOP
events { worker_connections 16384; }
http {
  access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  CONFIG
}
`,
  haproxy: 'CONFIG\n',
  apache2: `ServerRoot FOLDER
PidFile FOLDER/pid
DefaultRuntimeDir FOLDER
ServerName localhost
ErrorLog FOLDER/log
LogLevel error
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
Listen 127.0.0.1:PORT
CONFIG
`,
  // Without a grace period it would wait at its end for the requests that it holds.
  caddy: `{
  admin off
  default_bind 127.0.0.1
  grace_period 1ms
  storage file_system FOLDER
}
CONFIG
`,
  squid: `http_port 127.0.0.1:PORT
visible_hostname localhost
pid_filename FOLDER/pid
cache_log FOLDER/log
access_log none
netdb_filename none
coredump_dir FOLDER
cache deny all
shutdown_lifetime 0 seconds
pinger_enable off
CONFIG
`,
}

const args: Record<ProxyProgram, (folder: string, file: string) => string[]> = {
  nginx: (folder, file) => ['-e', 'stderr', '-p', folder, '-c', file],
  haproxy: (_folder, file) => ['-db', '-f', file],
  apache2: (folder, file) => ['-X', '-d', folder, '-f', file],
  caddy: (_folder, file) => ['run', '--adapter', 'caddyfile', '--config', file],
  squid: (_folder, file) => ['-N', '-f', file],
}

/** Where nobody listens, for now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => setTimeout(resolve, 20, false))
  })
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}
