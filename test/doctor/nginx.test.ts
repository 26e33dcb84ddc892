// What the doctor finds behind a real nginx that is set up as people set it up.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ExamineOptions, Report } from '../../doctor/node.ts'
import { needs, nginxPath } from '../support/tools.ts'
import { lookThrough, ours, outcomes } from './setting.ts'

const works = { websocket: 'works', stream: 'works', sse: 'works', polling: 'works' }

const upgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;`

async function behind(location: string, options: ExamineOptions = {}): Promise<Report> {
  const serving = await ours()
  const port = await startNginx(`proxy_pass http://127.0.0.1:${serving.port}; ${location}`)
  return lookThrough(serving, `http://127.0.0.1:${port}/realtime`, options)
}

needs('nginx', 'nginx', () => {
  test('with a plain proxy_pass takes the Upgrade header away, and that is said', async () => {
    const report = await behind('')
    expect(outcomes(report)).toEqual({ ...works, websocket: 'refused' })
    expect(report.transports.websocket.hindrance).toMatchObject({ cause: 'status', status: 426 })
    expect(report.transports.websocket.hindrance?.server).toContain('nginx')
    expect(report.advice.join()).toContain('proxy_set_header Upgrade')
    expect(report.plan.starts).toBe('stream')
  })

  test('set up for WebSockets carries everything, and only bodies have its limit', async () => {
    const report = await behind(`${upgrade} client_max_body_size 300k;`)
    expect(outcomes(report)).toEqual(works)
    expect(report.bodies).toMatchObject({ hindrance: { status: 413 } })
    expect(report.bodies?.hindrance?.server).toContain('nginx')
    expect(report.bodies?.arrived).toBeLessThanOrEqual(300 * 1024)
  })

  test('that collects answers whatever they say is found out', async () => {
    // What comes in chunks, as HTTP/1.1 has them, it would pass on.
    const report = await behind('proxy_http_version 1.0; proxy_ignore_headers X-Accel-Buffering;')
    expect(outcomes(report)).toEqual({ ...works, websocket: 'refused', stream: 'buffered', sse: 'buffered' })
    expect(report.plan.starts).toBe('polling')
  })

  test('that does not wait long cuts what is silent', async () => {
    // With less than twice its own laziness, 300 ms, it would not see the pieces of a stream.
    const report = await behind(`${upgrade} proxy_read_timeout 700ms;`, { duration: 4_500 })
    expect(outcomes(report)).toEqual({ ...works, websocket: 'cut', polling: 'cut' })
    expect(report.transports.polling.hindrance).toMatchObject({ cause: 'status', status: 504 })
    expect(report.advice.join()).toContain('proxy_read_timeout')
  })

  test('without a server behind it is told from the server', async () => {
    const gone = await freePort()
    const port = await startNginx(`proxy_pass http://127.0.0.1:${gone};`)
    const report = await lookThrough(await ours(), `http://127.0.0.1:${port}/realtime`)
    expect(report.server).toMatchObject({ kind: 'other', hindrance: { cause: 'status', status: 502 } })
    expect(report.server.says).toContain('nginx')
    expect(report.advice.join()).toContain('the server is down')
  })
})

/** Runs until the test is through. */
async function startNginx(location: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-doctor-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  // Its workers write into our folder: as root they would otherwise be somebody else.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const file = join(folder, 'config')
  writeFileSync(
    file,
    `daemon off; ${user} worker_processes 1; pid ${folder}/pid; error_log stderr emerg;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:${port}; location / { ${location} } }
}`,
  )
  const child = spawn(nginxPath() as string, ['-e', 'stderr', '-p', folder, '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  await expect.poll(async () => (await listens(port)) || said, { timeout: 10_000 }).toBe(true)
  return port
}

async function freePort(): Promise<number> {
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
    socket.on('error', () => resolve(false))
  })
}
