// The command line: what it prints where, and the exit code.
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { main } from '../../doctor/cli.ts'
import type { Report } from '../../doctor/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { fetchAll, listen } from '../support/http.ts'
import { freePort } from '../support/proxies.ts'
import { end, serve } from '../support/serving.ts'
import { secureServer, selfSigned } from '../support/tls.ts'
import { ours, stranger } from './setting.ts'

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface Setting {
  readonly isTTY?: boolean
  readonly env?: Record<string, string>
}

async function everwire(args: readonly string[], { isTTY = false, env = {} }: Setting = {}): Promise<Run> {
  const written = { out: '', err: '' }
  const output = (name: 'out' | 'err') => ({
    isTTY,
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await main(args, { out: output('out'), err: output('err'), env })
  return { code, ...written }
}

const shortly = ['--timeout', '0.5']
const esc = '\u001b'

describe('everwire doctor', () => {
  test('prints what gets through and what follows, and exits with 0', { timeout: 30_000 }, async () => {
    const { port, connections } = await ours()
    const network = await hostileNetwork(port, { seed: 1, upgrade: 403 })
    const { code, out, err } = await everwire(['doctor', `${network.url}/realtime`, ...shortly])
    await network.close()
    expect(code).toBe(0)
    expect(connections.size).toBe(0)
    expect(out).toContain('An everwire server: heartbeat 15 s')
    expect(out).toMatch(/^WebSocket +no: refused +Status 403/m)
    // It is measured, so it may be more than was asked for.
    expect(Number(/^Streaming +yes +([\d.]+) s/m.exec(out)?.[1])).toBeGreaterThanOrEqual(7.5)
    expect(out).toMatch(/^Event stream +yes/m)
    expect(out).toMatch(/^Long-polling +yes +[\d.]+ ms +7\.5 s/m)
    expect(out).toContain('Request bodies: up to 1 MiB arrive')
    expect(out).toContain('it connects over streaming')
    expect(out).toContain('What can be done')
    expect(out).not.toContain(esc)
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    // Where nobody sees it change, what goes on is told in lines.
    expect(err).not.toContain(esc)
    expect(err.trim().split('\n').length).toBeGreaterThan(5)
    expect(err).toMatch(/^\[8\/8\] /m)
  })

  test('prints the report as JSON, and nothing else there', async () => {
    const { url } = await ours({ diagnostics: false })
    const { code, out, err } = await everwire(['doctor', url, '--json', ...shortly])
    expect(code).toBe(0)
    const report = JSON.parse(out) as Report
    expect(report).toMatchObject({
      url,
      server: { kind: 'everwire', diagnostics: false },
      transports: { websocket: { outcome: 'works' }, stream: { outcome: 'unknown' } },
      plan: { starts: 'websocket' },
    })
    expect(err).not.toBe('')
  })

  test('exits with 1 where nothing gets through, and says what answers', async () => {
    const url = await stranger((_, response) => {
      response.setHeader('Content-Type', 'text/html').end('<title>A shop</title>')
    })
    const { code, out } = await everwire(['doctor', url, ...shortly])
    expect(code).toBe(1)
    expect(out).toContain('Not an everwire server: the page "A shop" (status 200 OK).')
    expect(out).toContain('What can be done')
  })

  test('sends the headers that it is given', async () => {
    const headers: unknown[] = []
    const port = await listen(
      createServer((request, response) => {
        headers.push([request.headers['x-one'], request.headers.cookie])
        response.writeHead(404).end()
      }),
    )
    const given = ['--header', 'X-One: 1', '--header', 'Cookie:a=b; c=d']
    await everwire(['doctor', `http://127.0.0.1:${port}/`, ...given, ...shortly])
    expect(headers).toEqual([
      ['1', 'a=b; c=d'],
      ['1', 'a=b; c=d'],
    ])
    expect((await fetchAll(`http://127.0.0.1:${port}/`)).status).toBe(404)
  })

  test('on a terminal shows one line that changes, in colours unless they are not wanted', async () => {
    const { url } = await ours({ diagnostics: false })
    const coloured = await everwire(['doctor', url], { isTTY: true })
    expect(coloured.out).toContain(`${esc}[32mWebSocket`)
    expect(coloured.err).toContain(`\r${esc}[2K[`)
    // Nothing is left of it.
    expect(coloured.err.endsWith(`\r${esc}[2K`)).toBe(true)
    expect(coloured.err).not.toContain('\n')
    const plain = await everwire(['doctor', url], { isTTY: true, env: { NO_COLOR: '1' } })
    expect(plain.out).not.toContain(esc)
    const dumb = await everwire(['doctor', url], { isTTY: true, env: { TERM: 'dumb' } })
    expect(dumb.out + dumb.err).not.toContain(esc)
  })
})

describe('everwire', () => {
  test('helps', async () => {
    for (const flag of ['--help', '-h']) {
      const { code, out, err } = await everwire([flag])
      expect([code, err]).toEqual([0, ''])
      for (const word of [
        'doctor URL',
        '--long',
        '--json',
        '--header',
        '--timeout',
        '--version',
        'Exit code',
      ]) {
        expect(out).toContain(word)
      }
    }
  })

  test('says its version', async () => {
    expect(await everwire(['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
  })

  test('with --ca it trusts an authority that this machine does not know', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const certificate = selfSigned()
    const server = secureServer(
      (request, response) => realtime.middleware(request, response, () => response.end()),
      certificate,
    )
    const url = `https://localhost:${await listen(server as never)}/`
    const file = join(tmpdir(), `everwire-authority-${process.pid}.pem`)
    writeFileSync(file, certificate.cert)
    onTestFinished(() => rmSync(file))
    expect((await everwire(['doctor', url, ...shortly])).out).toContain('does not trust the certificate')
    expect((await everwire(['doctor', url, ...shortly, '--ca', file])).out).toContain('An everwire server')
  })

  test('with --proxy it asks the proxy, and says so when that is down', async () => {
    const { url, connections } = await serve()
    const proxy = `127.0.0.1:${await freePort()}`
    const { code, out } = await everwire(['doctor', url, ...shortly, '--proxy', `http://${proxy}`])
    expect(code).toBe(1)
    expect(out).toContain(`The connection to the proxy ${proxy} failed: ECONNREFUSED`)
    expect(connections.size).toBe(0)
  })

  test.each([
    [[], 'everwire doctor URL'],
    [['nurse'], 'no command "nurse"'],
    [['doctor'], 'https://example.com/realtime'],
    [['doctor', 'ftp://example.com'], 'Not a server address'],
    [['doctor', 'example.com/realtime'], 'Did you mean https://example.com/realtime?'],
    [['doctor', 'localhost:3000'], 'Did you mean http://localhost:3000?'],
    [['doctor', 'http://a', 'http://b'], 'too much'],
    [['doctor', 'http://a', '--loud'], '--loud'],
    [['doctor', 'http://a', '--timeout', 'soon'], '--timeout'],
    [['doctor', 'http://a', '--timeout', '0'], '--timeout'],
    [['doctor', 'http://a', '--header', 'nothing'], '--header'],
    [['doctor', 'http://a', '--proxy', 'socks5://p'], '"proxy"'],
    [['doctor', 'http://a', '--ca', '/no/such/file'], '--ca'],
    [['conformance', 'http://a', '--proxy', 'http://p'], '--proxy is an option of everwire doctor'],
    [['conformance', 'http://a', '--ca', 'file'], '--ca is an option of everwire doctor'],
    [['doctor', 'http://a', '--header', 'A: b\r\nC: d'], '--header'],
  ] as const)('exits with 2 for wrong use: %j', async (args, said) => {
    const { code, out, err } = await everwire(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(said)
    expect(err).toContain('--help')
  })
})
