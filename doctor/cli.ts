/** The command line `npx everwire doctor URL`, without the process that it runs in. */
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { draw, drawer, type Output, type Paint, paints } from './cli-text.ts'
import { examine } from './node.ts'
import type { Report } from './report.ts'

/** The parts of a process that the command line uses. */
export interface Terminal {
  readonly out: Output
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal
}

const works = 0
const nothingWorks = 1
const wrongUse = 2

const long = 60_000

const help = `everwire doctor URL: which transports work between this machine and an everwire server?

  npx everwire doctor https://example.com/realtime

Tries WebSocket, streaming, event streams and long-polling in both directions for about ten seconds. Says
which transports work, what blocks the others, and what a client will do on this network. The server's
application sees no connection.

  --long                 try for a minute, and so find proxies that cut connections only after some time
  --header 'Name: value' send this header with every request, for example Cookie; may be repeated
  --timeout SECONDS      how long an immediate answer may take; default 4
  --json                 print the report as JSON
  --help, --version

Exit code: 0 if at least one transport works, 1 if none works, 2 for wrong use.
`

const options = {
  long: { type: 'boolean' },
  json: { type: 'boolean' },
  header: { type: 'string', multiple: true },
  timeout: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

/** Runs a command. Returns the exit code. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const { out, err } = terminal
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    if (values.version) {
      out.write(`${version()}\n`)
      return works
    }
    if (values.help) {
      out.write(help)
      return works
    }
    const [command, address, ...more] = positionals
    if (command === undefined) throw new WrongUse('Give a command: everwire doctor URL')
    if (command !== 'doctor') throw new WrongUse(`There is no command "${command}", only "doctor"`)
    if (address === undefined)
      throw new WrongUse("Give the server's address: everwire doctor https://example.com/realtime")
    if (more.length > 0) throw new WrongUse(`Give only one address; "${more[0]}" is too much`)
    const report = await run(checkedUrl(address), terminal, {
      ...(values.long && { duration: long }),
      timeout: seconds(values.timeout ?? '4'),
      headers: headersOf(values.header ?? []),
    })
    out.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : draw(report, paint(out, terminal)))
    return report.plan.starts === null ? nothingWorks : works
  } catch (error) {
    if (!(error instanceof WrongUse) && !isArgumentError(error)) throw error
    err.write(`${(error as Error).message}\nTry: everwire --help\n`)
    return wrongUse
  }
}

class WrongUse extends Error {}

async function run(
  url: URL,
  { err, signal, env }: Terminal,
  given: { duration?: number; timeout: number; headers: Record<string, string> },
): Promise<Report> {
  const live = drawer(err, env)
  try {
    return await examine(url, { ...given, ...(signal && { signal }), onProgress: live.show })
  } finally {
    live.end()
  }
}

function checkedUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url && /^(https?|wss?):$/.test(url.protocol) && url.hostname) return url
  const guess = `${/^(localhost|127\.|\[::1\])/.test(address) ? 'http' : 'https'}://${address}`
  // "localhost:3000" is a URL too, with the scheme "localhost".
  const hint = !address.includes('://') && URL.canParse(guess) ? `. Did you mean ${guess}?` : ''
  throw new WrongUse(`Not a server address: ${address}${hint}`)
}

function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && value <= 60) return value * 1000
  throw new WrongUse(`--timeout must be a number of seconds, at most 60; got "${text}"`)
}

function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
    if (!name || value === undefined) throw new WrongUse(`--header must be 'Name: value'; got "${line}"`)
    headers[name] = value.trim()
  }
  return headers
}

function isArgumentError(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS')
}

function paint(out: Output, { env }: Terminal): Paint {
  return paints[out.isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? 'colours' : 'plain']
}

function version(): string {
  return (createRequire(import.meta.url)('everwire/package.json') as { version: string }).version
}
