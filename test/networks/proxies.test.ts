// Behind real proxies: what each lets through is found out, and nothing is lost, repeated or reordered on it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { haproxyPath, needs, nginxPath } from '../support/tools.ts'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function startServer(): Promise<number> {
  const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/realtime' })
  realtime.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data as Buffer, { binary }))
  })
  await once(realtime, 'listening')
  undo.push(() => {
    for (const client of realtime.clients) client.terminate()
    return new Promise((resolve) => realtime.close(resolve))
  })
  return (realtime.address() as AddressInfo).port
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a proxy in a folder of its own, and waits until it takes connections. */
async function startProxy(path: string, args: (folder: string) => string[], port: number, config: string) {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-proxy-'))
  writeFileSync(join(folder, 'config'), config.replaceAll('FOLDER', folder))
  const child = spawn(path, args(folder), { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  undo.push(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  undo.push(() => stop(child))
  await expect.poll(async () => (await listens(port)) || said, { timeout: 10_000 }).toBe(true)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** Sends numbered messages one way and back; the transports that carried them, in the order of their appearance. */
async function exchange(port: number, count: number): Promise<string[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/realtime`)
  const got: string[] = []
  const faults: string[] = []
  const transports: string[] = []
  socket.addEventListener('error', () => faults.push('error'))
  socket.addEventListener('transportchange', () => transports.push(String(socket.transport)))
  socket.addEventListener('message', ({ data }) => got.push(data))
  await once(socket, 'open')
  transports.unshift(String(socket.transport))
  const large = 'x'.repeat(700_000)
  for (let i = 0; i < count; i++) {
    socket.send(`${i}`)
    if (i === count / 2) socket.send(large)
  }
  await expect.poll(() => got.length, { timeout: 20_000 }).toBe(count + 1)
  const sent = Array.from({ length: count }, (_, i) => (i === count / 2 ? [`${i}`, large] : [`${i}`])).flat()
  expect(got).toEqual(sent)
  const closed = once(socket, 'close')
  socket.close(4321, 'enough')
  const [event] = await closed
  expect([event.code, event.reason]).toEqual([4321, 'enough'])
  expect(faults).toEqual([])
  return transports
}

function nginx(port: number, location: string): string {
  // Its workers write into our folder: as root they would otherwise be somebody else.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `daemon off; ${user} worker_processes 1; pid FOLDER/pid; error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:${port}; location / { ${location} } }
}`
}

const nginxArgs = (folder: string): string[] => ['-e', 'stderr', '-p', folder, '-c', join(folder, 'config')]

needs('nginx', 'nginx', () => {
  test('with a plain proxy_pass refuses WebSockets: HTTP carries it', async () => {
    const [upstream, port] = [await startServer(), await freePort()]
    const config = nginx(port, `proxy_pass http://127.0.0.1:${upstream};`)
    await startProxy(nginxPath() as string, nginxArgs, port, config)
    const transports = await exchange(port, 200)
    expect(transports).not.toContain('websocket')
  })

  test('set up for WebSockets carries one', async () => {
    const [upstream, port] = [await startServer(), await freePort()]
    const upgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;`
    const config = nginx(port, `proxy_pass http://127.0.0.1:${upstream}; ${upgrade}`)
    await startProxy(nginxPath() as string, nginxArgs, port, config)
    expect(await exchange(port, 200)).toEqual(['websocket'])
  })
})

needs('haproxy', 'haproxy', () => {
  test('carries a WebSocket, and cuts it after a second of silence: nothing is lost', async () => {
    const [upstream, port] = [await startServer(), await freePort()]
    const config = `defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
  timeout tunnel 1s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server s 127.0.0.1:${upstream}
`
    await startProxy(haproxyPath() as string, (folder) => ['-db', '-f', join(folder, 'config')], port, config)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/realtime`)
    const got: string[] = []
    socket.addEventListener('message', ({ data }) => got.push(data))
    await once(socket, 'open')
    expect(socket.transport).toBe('websocket')
    socket.send('before')
    await expect.poll(() => got).toEqual(['before'])
    await once(socket, 'transportchange')
    socket.send('after')
    await expect.poll(() => got, { timeout: 10_000 }).toEqual(['before', 'after'])
    socket.close(1000)
    const [event] = await once(socket, 'close')
    expect([event.code, event.wasClean]).toEqual([1000, true])
  })
})
