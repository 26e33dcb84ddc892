// What the doctor finds where nothing is in the way, and where something else than everwire answers.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import express from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer as PlainServer } from 'ws'
import type { Progress, Report } from '../../doctor/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { listen } from '../support/http.ts'
import { RawClient } from '../support/raw-client.ts'
import { watch } from '../support/serving.ts'
import { secureServer } from '../support/tls.ts'
import { held, look, lookThrough, ours, outcomes, stranger } from './setting.ts'

const works = { websocket: 'works', stream: 'works', sse: 'works', polling: 'works' }
const refused = { websocket: 'refused', stream: 'refused', sse: 'refused', polling: 'refused' }

/** It is plain data, whole, and every sentence has an end in sight. */
function expectWhole(report: Report): void {
  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  expect(Object.keys(report.transports)).toEqual(['websocket', 'stream', 'sse', 'polling'])
  expect(Date.parse(report.began)).toBeGreaterThan(0)
  const said = [report.server.says, ...Object.values(report.transports).map(({ says }) => says)]
  for (const text of [...said, ...report.plan.says, ...report.advice]) {
    expect(text).toMatch(/^\S.*\S$/)
    expect(text).not.toMatch(/undefined|NaN|\[object/)
  }
}

describe('where nothing is in the way', () => {
  test('finds that everything works, and the application sees nothing', async () => {
    const report = await lookThrough(await ours({ heartbeat: 2000, maxBody: 300_000 }))
    expectWhole(report)
    expect(outcomes(report)).toEqual(works)
    expect(report.server).toMatchObject({
      kind: 'everwire',
      diagnostics: true,
      heartbeat: 2000,
      patience: 30_000,
      maxBody: 300_000,
    })
    const { websocket, stream, sse, polling } = report.transports
    expect(websocket.roundTrip).toBeGreaterThan(0)
    expect(websocket.held).toBe(held * 0.75)
    for (const one of [stream, sse, polling]) expect(one.held).toBeGreaterThanOrEqual(held - 5)
    expect(polling.roundTrip).toBeGreaterThan(0)
    expect(report.bodies).toMatchObject({ arrived: 300_000 })
    expect(report.bodies?.refused).toBeUndefined()
    expect(report.plan).toMatchObject({ starts: 'websocket', fallsBackTo: ['stream', 'sse', 'polling'] })
    expect(report.plan.pieces).toBe(256 * 1024)
    expect(report.advice).toEqual([])
  })

  test('tells how far it is', async () => {
    const { url } = await ours()
    const told: Progress[] = []
    await look(url, { onProgress: (progress) => told.push(progress) })
    const last = told.at(-1) as Progress
    expect(last.done).toBe(last.of)
    expect(told.map(({ done }) => done)).toEqual(told.map((_, i) => i))
    expect(Object.keys(last.transports).sort()).toEqual(['polling', 'sse', 'stream', 'websocket'])
  })

  test('goes through the middleware of the application, with the headers that it was given', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    const connections = watch(realtime)
    const app = express()
    const guard = (request: IncomingMessage): boolean => request.headers.cookie === 'who=me'
    app.use('/realtime', (request, response, next) => {
      if (guard(request)) next()
      else response.status(401).type('text').send('Sign in first')
    })
    app.use('/realtime', realtime.middleware)
    const url = `ws://127.0.0.1:${await listen(createServer(app))}/realtime`
    const without = await look(url)
    expect(outcomes(without)).toEqual(refused)
    expect(without.server).toMatchObject({ kind: 'other', hindrance: { cause: 'status', status: 401 } })
    expect(without.server.says).toContain('"Sign in first"')
    expect(without.advice.join()).toContain('--header')
    const report = await look(url, { headers: { Cookie: 'who=me' } })
    expect(outcomes(report)).toEqual(works)
    expect(connections.size).toBe(0)
  })

  test('with a server that answers no probes, says what a first answer shows', async () => {
    const report = await lookThrough(await ours({ diagnostics: false }))
    expectWhole(report)
    expect(outcomes(report)).toEqual({
      websocket: 'works',
      stream: 'unknown',
      sse: 'unknown',
      polling: 'works',
    })
    expect(report.server).toMatchObject({ kind: 'everwire', diagnostics: false })
    expect(report.plan.starts).toBe('websocket')
    expect(report.advice.join()).toContain('diagnostics')
  })

  test('with a server that holds as many probes as it may, does not take that for the network', async () => {
    const serving = await ours()
    const client = new RawClient(serving.url)
    const ask = Ask.probe | Ask.hold | Ask.stream
    await Promise.all(Array.from({ length: 64 }, () => client.stream({ ask, life: 30_000 })))
    const report = await lookThrough(serving)
    expectWhole(report)
    const unknown = { websocket: 'unknown', stream: 'unknown', sse: 'unknown' }
    expect(outcomes(report)).toEqual({ ...unknown, polling: 'works' })
    expect(report.transports.stream.says).toContain('try again later')
  })

  test('with a server that only WebSockets get to, says that there is nothing to fall back to', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    const server = createServer((_, response) => response.writeHead(403).end())
    server.on('upgrade', (request, socket, head) => realtime.handleUpgrade(request, socket, head, () => {}))
    const report = await look(`http://127.0.0.1:${await listen(server)}/`)
    expectWhole(report)
    expect(outcomes(report)).toEqual({ ...refused, websocket: 'works' })
    expect(report.server).toMatchObject({ kind: 'everwire', diagnostics: true })
    expect(report.plan).toMatchObject({ starts: 'websocket', fallsBackTo: [] })
    expect(report.advice.join()).toContain('status 403')
  })

  test('can be broken off', async () => {
    const { url } = await ours()
    const breaking = new AbortController()
    const told: number[] = []
    const onProgress = ({ done }: Progress): void => {
      told.push(done)
      if (done > 0) breaking.abort('enough')
    }
    await expect(look(url, { signal: breaking.signal, onProgress })).rejects.toBe('enough')
    expect(told).toEqual([0, 1])
    await expect(look(url, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
  })

  test.each(['ftp://example.com', 'mailto:a@b', 'nothing'])('takes no address such as %s', async (url) => {
    await expect(look(url)).rejects.toThrow(TypeError)
  })
})

describe('where everwire is not', () => {
  /** Nothing can be used, and it is said who answers. */
  async function lookAtStranger(url: string): Promise<Report> {
    const report = await look(url)
    expectWhole(report)
    expect(report.plan).toMatchObject({ starts: null, fallsBackTo: [] })
    return report
  }

  test('a plain WebSocket server, which hears nothing from the doctor', async () => {
    const server = createServer()
    const plain = new PlainServer({ server })
    const messages: unknown[] = []
    plain.on('connection', (socket) => socket.on('message', (data) => messages.push(data)))
    const report = await lookAtStranger(`http://127.0.0.1:${await listen(server)}/`)
    expect(report.server.kind).toBe('websocket')
    expect(report.server.says).toContain('not an everwire server')
    expect(messages).toEqual([])
  })

  test('a web page', async () => {
    const url = await stranger((_, response) => {
      response.setHeader('Server', 'shop/1.0')
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Our \u001b[2J shop</title>')
    })
    const report = await lookAtStranger(url)
    expect(report.server.hindrance).toEqual({
      cause: 'page',
      says: 'the page "Our [2J shop" from shop/1.0 (status 200 OK)',
      status: 200,
      server: 'shop/1.0',
      title: 'Our [2J shop',
    })
    expect(outcomes(report)).toEqual(refused)
    expect(report.advice.join()).toContain('with its path')
  })

  test('a captive portal that sends everybody to its page', async () => {
    const url = await stranger((_, response) => {
      response.writeHead(302, { Location: 'http://portal.hotel.example/login' }).end()
    })
    const report = await lookAtStranger(url)
    expect(report.server.hindrance).toMatchObject({
      cause: 'redirect',
      status: 302,
      location: 'http://portal.hotel.example/login',
    })
    expect(report.advice.join()).toContain('captive portal')
  })

  test('the same address that is served with TLS', async () => {
    const url = await stranger((request, response) => {
      response.writeHead(301, { Location: `https://${request.headers.host}/realtime` }).end()
    })
    expect((await lookAtStranger(url)).advice.join()).toContain('https://')
  })

  test('something that says neither what nor why', async () => {
    const url = await stranger((_, response) => response.end('hello'))
    const { server } = await lookAtStranger(url)
    expect(server.hindrance).toMatchObject({ cause: 'foreign', status: 200 })
  })

  test('nothing under this path', async () => {
    const { port } = await ours()
    const report = await lookAtStranger(`http://127.0.0.1:${port}/elsewhere`)
    expect(report.server.kind).toBe('other')
  })

  test('nobody who listens', async () => {
    const server = createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    const report = await lookAtStranger(`http://127.0.0.1:${port}/`)
    expect(report.server).toMatchObject({
      kind: 'nobody',
      hindrance: { cause: 'refused', code: 'ECONNREFUSED' },
    })
    expect(outcomes(report)).toEqual(refused)
  })

  test('no such name', async () => {
    const report = await lookAtStranger('https://nowhere.invalid/realtime')
    expect(report.server).toMatchObject({ kind: 'nobody', hindrance: { cause: 'dns' } })
  })

  test('somebody who never answers', async () => {
    const server = createTcpServer((socket) => {
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {}).resume()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    const report = await lookAtStranger(`http://127.0.0.1:${port}/`)
    expect(report.server).toMatchObject({ kind: 'nobody', hindrance: { cause: 'timeout' } })
    expect(new Set(Object.values(outcomes(report)))).toEqual(new Set(['swallowed']))
  })

  test('a server that speaks no HTTP', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {}).end('220 mail.example ESMTP\r\n')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    const report = await lookAtStranger(`http://127.0.0.1:${port}/`)
    expect(report.server.hindrance?.cause).toBe('foreign')
  })

  test('a certificate that nobody trusts', async () => {
    const port = await listen(secureServer((_, response) => response.end()))
    const report = await lookAtStranger(`https://127.0.0.1:${port}/`)
    expect(report.server).toMatchObject({ kind: 'nobody', hindrance: { cause: 'tls' } })
    expect(report.server.says).toContain('certificate')
    expect(report.advice.join()).toContain('NODE_EXTRA_CA_CERTS')
  })

  test('a port without TLS that is asked with it', async () => {
    const { port } = await ours()
    const report = await lookAtStranger(`https://127.0.0.1:${port}/realtime`)
    expect(report.server.hindrance?.cause).toBe('tls')
    expect(report.advice.join()).toContain('http://')
  })
})
