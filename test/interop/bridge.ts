// WebSocket libraries of other languages: a program each, which is told what to do and tells what it sees, in lines of JSON.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { Queue } from '../support/queue.ts'
import type { Close, Connection, Happening } from './room.ts'

/** How such a program is started. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
}

/** What it tells. */
interface Told {
  readonly open?: string
  readonly port?: number
  readonly text?: string
  /** base64 */
  readonly binary?: string
  readonly pong?: string
  readonly close?: number
  readonly reason?: string
}

function start({ command, args }: Program, more: readonly string[]) {
  const child = spawn(command, [...args, ...more], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  // One that has died is told nothing more: what it should have told is missing.
  child.stdin.on('error', () => {})
  onTestFinished(async () => {
    child.kill()
    await ended
  })
  const told = new Queue<Told>()
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line) as Told))
  const died = ended.then(([code]) => {
    throw new Error(`${command} ended with ${code} before it told anything`)
  })
  died.catch(() => {})
  return {
    told,
    first: () => Promise.race([told.next(), died]),
    say: (order: object) => child.stdin.write(`${JSON.stringify(order)}\n`),
  }
}

/** As a client. */
export async function connectWith(
  program: Program,
  url: string,
  protocols: readonly string[],
): Promise<Connection> {
  const { told, first, say } = start(program, ['connect', url, ...protocols])
  const { open = '' } = await first()
  const happenings = new Queue<Happening>()
  const closed = new Promise<Close>((resolve) => {
    const read = async (): Promise<void> => {
      for (;;) {
        const { text, binary, pong, close, reason = '' } = await told.next()
        if (close !== undefined) return resolve({ code: close, reason })
        if (text !== undefined) happenings.push(text)
        else if (binary !== undefined) happenings.push(Buffer.from(binary, 'base64'))
        else if (pong !== undefined) happenings.push({ pong })
      }
    }
    void read()
  })
  return {
    protocol: open,
    happenings,
    closed,
    send: (data) => say(typeof data === 'string' ? { text: data } : { binary: data.toString('base64') }),
    ping: (data) => say({ ping: data }),
    close: (code, reason) => say({ close: code, reason }),
  }
}

/** As a server, which says back what it hears; `closed` brings how its clients ended, one after the other. */
export async function serveWith(
  program: Program,
  protocols: readonly string[],
): Promise<{ url: string; closed(): Promise<Close> }> {
  const { told, first } = start(program, ['serve', ...protocols])
  const { port } = await first()
  return {
    url: `ws://127.0.0.1:${port}/`,
    async closed() {
      const { close = 0, reason = '' } = await told.next()
      return { code: close, reason }
    },
  }
}
