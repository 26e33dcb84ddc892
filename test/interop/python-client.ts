/** The client of examples/python as a contestant of the networks: a process of its own, told what to do in lines of JSON. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { findTool } from '../../scripts/tools.mjs'
import { type Contestant, everwire, localClient } from '../networks/contestant.ts'
import { lastWords, path } from '../networks/follow.ts'
import type { Talk } from '../networks/talk.ts'

/** What it tells. */
interface Told {
  readonly open?: string
  readonly transport?: string
  readonly text?: string
  /** base64 */
  readonly binary?: string
  readonly close?: number
  readonly reason?: string
}

interface Process {
  readonly say: (order: object) => boolean
  readonly kill: () => Promise<unknown>
}

export const python: Contestant = {
  ...everwire,
  name: "Python's client",
  connect(port, options) {
    const url = `ws://127.0.0.1:${port}${path}`
    let end = (): Promise<unknown> => Promise.resolve()
    const client = localClient(options, (talk) => {
      const { say, kill } = start(url, talk)
      end = kill
      return () => say({ close: lastWords.code, reason: lastWords.reason })
    })
    const forget = client.drop
    const drop = (): Promise<unknown> => {
      forget()
      return end()
    }
    return Object.assign(client, { drop })
  },
}

function start(url: string, talk: Talk): Process {
  const { say, kill } = startPython(url, [], ({ open, transport, text, binary, close, reason }) => {
    if (text !== undefined) talk.message(text)
    else if (binary !== undefined) talk.message(new Uint8Array(Buffer.from(binary, 'base64')))
    else if (transport !== undefined) talk.transport(transport)
    else if (close !== undefined) talk.gone(`close ${close} ${reason}`.trim())
    else if (open !== undefined)
      talk.opened((data) =>
        say(typeof data === 'string' ? { text: data } : { binary: Buffer.from(data).toString('base64') }),
      )
  })
  return { say, kill }
}

/** The client in a process of its own. `transports`: those that it may use; none: all. */
export function startPython(url: string, transports: readonly string[], tell: (told: Told) => void): Process {
  const script = ['test/interop/everwire-peer.py', url, ...transports]
  const child = spawn(findTool('python3-websockets') ?? 'python3', script, {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // One that has died is told nothing more: what it should have told is missing.
  child.stdin.on('error', () => {})
  const say = (order: object): boolean => {
    child.stdin.write(`${JSON.stringify(order)}\n`)
    return true
  }
  createInterface({ input: child.stdout }).on('line', (line) => tell(JSON.parse(line)))
  const ended = once(child, 'close')
  const kill = (): Promise<unknown> => {
    child.kill()
    return ended
  }
  return { say, kill }
}
