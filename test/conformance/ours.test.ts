// Our own server keeps every rule; and what the command prints.
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ConformanceReport } from '../../conformance/cli.ts'
import { main } from '../../doctor/cli.ts'
import type { ServerOptions } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { serve } from '../support/serving.ts'
import { echo } from './echo.ts'

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function everwire(...args: string[]): Promise<Run> {
  const written = { out: '', err: '' }
  const output = (name: 'out' | 'err') => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await main(args, { out: output('out'), err: output('err'), env: {} })
  return { code, ...written }
}

/** More patient than people: a busy machine is no deviation. */
const patient = ['--timeout', '30']

async function reportOf(options: ServerOptions): Promise<ConformanceReport> {
  const url = await echo(onTestFinished, options)
  const { out } = await everwire('conformance', url, '--json', ...patient)
  return JSON.parse(out)
}

describe('everwire conformance', () => {
  test('our server keeps every rule', async () => {
    const report = await reportOf({})
    expect(report.rules.filter(({ outcome }) => outcome !== 'ok')).toEqual([])
    expect(report.ok).toBeGreaterThan(140)
  })

  test('a server that answers no probes keeps every rule that can be seen', async () => {
    const report = await reportOf({ diagnostics: false })
    expect(report.failed).toBe(0)
    const leftOut = report.rules.filter(({ outcome }) => outcome === 'left out').map(({ section }) => section)
    expect(new Set(leftOut)).toEqual(new Set(['8']))
  })

  test('a server with small bounds keeps every rule', async () => {
    const report = await reportOf({ maxBody: 40_000, handleProtocols: () => false })
    expect(report.rules.filter(({ outcome }) => outcome !== 'ok')).toEqual([])
  })

  test('prints a line for each rule and the sum, and exits with 0', async () => {
    const url = await echo(onTestFinished)
    const { code, out, err } = await everwire('conformance', url, '--only', 'handshake', ...patient)
    expect(err).toBe('')
    expect(out).toMatch(/^ok {4}handshake \(2\.1\)$/m)
    expect(out).toMatch(/\n\n\d+ ok, 0 failed in [\d.]+ s\n$/)
    expect(code).toBe(0)
  })

  test('says what was expected and what came, and exits with 1', async () => {
    const server = createServer((_, response) => response.end('<title>A shop</title>'))
    const url = `http://127.0.0.1:${await listen(server)}/`
    const { code, out } = await everwire('conformance', url, '--only', 'unknown-http')
    expect(code).toBe(1)
    expect(out).toBe(
      'FAIL  unknown-http (3.3): A session that is not known gets status 2, and nothing follows.\n' +
        '        expected an answer of the protocol\n' +
        '        came     status 200 with "<title>A shop</title>"\n' +
        out.slice(out.indexOf('\n\n') + 1),
    )
  })

  test('says that a server which sends nothing back is no echo server', async () => {
    const { url } = await serve({ path: '/realtime' })
    const { code, out } = await everwire('conformance', url, '--only', 'echo', '--timeout', '0.5')
    expect(code).toBe(1)
    expect(out).toContain('Is this an echo server?')
  })

  test('exits with 2 where nobody answers', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const { code, out, err } = await everwire('conformance', `http://127.0.0.1:${port}/`)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('ECONNREFUSED')
  })

  test.each([
    [['conformance'], /address/],
    [['conformance', 'http://localhost/', '--only', 'no such rule'], /No rule/],
    [['conformance', 'http://localhost/', '--long'], /--long/],
    [['doctor', 'http://localhost/', '--only', 'ping'], /--only/],
    [['other', 'http://localhost/'], /only doctor and conformance/],
  ])('wrong use exits with 2: %s', async (args, says) => {
    const { code, out, err } = await everwire(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(says)
  })
})
