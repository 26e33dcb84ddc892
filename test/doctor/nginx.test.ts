// What the doctor finds behind a real nginx that is set up as people set it up.
import { expect, onTestFinished, test } from 'vitest'
import type { ExamineOptions, Report } from '../../doctor/node.ts'
import { freePort, startProxy } from '../support/proxies.ts'
import { needs } from '../support/tools.ts'
import { lookThrough, ours, outcomes } from './setting.ts'

const works = { websocket: 'works', stream: 'works', sse: 'works', polling: 'works' }

const upgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;`

async function behind(location: string, options: ExamineOptions = {}): Promise<Report> {
  const serving = await ours()
  const port = await startNginx(serving.port, location)
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
    // With less than twice its own laziness, 300 ms, it would not see the pieces of a stream. A server that pauses for
    // longer than that is cut, too.
    const report = await behind(`${upgrade} proxy_read_timeout 1500ms;`, { duration: 6_500 })
    expect(outcomes(report)).toEqual({ ...works, websocket: 'cut', polling: 'cut' })
    expect(report.transports.polling.hindrance).toMatchObject({ cause: 'status', status: 504 })
    expect(report.advice.join()).toContain('proxy_read_timeout')
  })

  test('without a server behind it is told from the server', async () => {
    const port = await startNginx(await freePort(), '')
    const report = await lookThrough(await ours(), `http://127.0.0.1:${port}/realtime`)
    expect(report.server).toMatchObject({ kind: 'other', hindrance: { cause: 'status', status: 502 } })
    expect(report.server.says).toContain('nginx')
    expect(report.advice.join()).toContain('the server is down')
  })
})

/** Runs until the test is through. */
async function startNginx(target: number, location: string): Promise<number> {
  const config = `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:TARGET; ${location} } }`
  const { port, stop } = await startProxy({ program: 'nginx', config }, target)
  onTestFinished(stop)
  return port
}
