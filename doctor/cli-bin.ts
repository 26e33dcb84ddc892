#!/usr/bin/env node
/** The command `everwire`. */
import { main } from './cli.ts'

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
main(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  signal: interrupted.signal,
}).then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    // 130 is the shell's exit code for an interrupted command.
    process.exitCode = interrupted.signal.aborted ? 130 : 1
    if (!interrupted.signal.aborted) process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  },
)
