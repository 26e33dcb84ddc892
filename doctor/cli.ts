/** The command line, `npx everwire doctor URL` and `npx everwire conformance URL`, without the process that it runs in. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { type ConnectionOptions, Way } from '../client/node/node-way.ts'
import { conformance, NothingToExamine, printed } from '../conformance/cli.ts'
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
  --proxy URL            connect through this forward proxy; 'environment' for that of HTTPS_PROXY and the like
  --ca FILE              trust the certificate authorities in this file (PEM), and no others
  --timeout SECONDS      how long an immediate answer may take; default 4
  --json                 print the report as JSON

Exit code: 0 if at least one transport works, 1 if none works, 2 for wrong use.

everwire conformance URL: does a server keep the rules of the protocol?

  npx everwire conformance http://localhost:3000/echo

For authors of servers. Needs an echo server: it must send each message back, with its kind. Runs every rule of
docs/PROTOCOL.md that can be seen from outside, and prints a line for each: ok, or FAIL with what was expected
and what came.

  --only PART            only the rules whose name contains this, or those of this section, for example 3.5
  --header 'Name: value', --timeout SECONDS, --json   as above

Exit code: 0 if the server keeps all rules, 1 if it breaks one, 2 for wrong use or if nobody answers.

  --help, --version
`

const options = {
  json: { type: 'boolean' },
  header: { type: 'string', multiple: true },
  timeout: { type: 'string' },
  long: { type: 'boolean' },
  proxy: { type: 'string' },
  ca: { type: 'string' },
  only: { type: 'string' },
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
    const run = commands[command]
    if (!run)
      throw new WrongUse(`There is no command "${command}", only ${Object.keys(commands).join(' and ')}`)
    if (address === undefined)
      throw new WrongUse(`Give the server's address: everwire ${command} https://example.com/realtime`)
    if (more.length > 0) throw new WrongUse(`Give only one address; "${more[0]}" is too much`)
    const url = checkedUrl(address)
    const common = { timeout: seconds(values.timeout ?? '4'), headers: headersOf(values.header ?? []) }
    return await run(url, common, values, terminal)
  } catch (error) {
    if (!(error instanceof WrongUse || error instanceof NothingToExamine || isArgumentError(error)))
      throw error
    err.write(`${(error as Error).message}\nTry: everwire --help\n`)
    return wrongUse
  }
}

class WrongUse extends Error {}

interface Common {
  readonly timeout: number
  readonly headers: Record<string, string>
}

interface Values {
  readonly json?: boolean
  readonly long?: boolean
  readonly only?: string
  readonly proxy?: string
  readonly ca?: string
}

const commands: Readonly<
  Record<string, (url: URL, common: Common, values: Values, terminal: Terminal) => Promise<number>>
> = { doctor, conformance: checkConformance }

async function doctor(url: URL, common: Common, values: Values, terminal: Terminal): Promise<number> {
  if (values.only !== undefined) throw new WrongUse('--only is an option of everwire conformance')
  const { out, err, env, signal } = terminal
  const way = wayOf(url, values)
  const live = drawer(err, env)
  let report: Report
  try {
    report = await examine(url, {
      ...common,
      ...(values.long && { duration: long }),
      ...way,
      ...(signal && { signal }),
      onProgress: live.show,
    })
  } finally {
    live.end()
  }
  out.write(values.json ? asJson(report) : draw(report, paint(out, terminal)))
  return report.plan.starts === null ? nothingWorks : works
}

async function checkConformance(
  url: URL,
  common: Common,
  { json, long, only, proxy, ca }: Values,
  { out, signal }: Terminal,
): Promise<number> {
  const wrong = long ? 'long' : proxy !== undefined ? 'proxy' : ca !== undefined ? 'ca' : undefined
  if (wrong) throw new WrongUse(`--${wrong} is an option of everwire doctor`)
  const report = await conformance({ url, ...common, ...(only && { only }), ...(signal && { signal }) })
  out.write(json ? asJson(report) : printed(report))
  return report.failed > 0 ? nothingWorks : works
}

function asJson(report: unknown): string {
  return `${JSON.stringify(report, null, 2)}\n`
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

function wayOf(url: URL, { proxy, ca }: Values): ConnectionOptions {
  const options: ConnectionOptions = {
    ...(proxy !== undefined && { proxy }),
    ...(ca !== undefined && { ca: contents(ca) }),
  }
  try {
    new Way(url.href, options)
  } catch (error) {
    throw new WrongUse((error as Error).message)
  }
  return options
}

function contents(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new WrongUse(`--ca must be a file of certificates: ${(error as Error).message}`)
  }
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
