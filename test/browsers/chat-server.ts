// The chat example's own server, in a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../examples/chat/server.mjs', import.meta.url))
export interface Chat {
  readonly process: ChildProcess
  readonly url: string
}

export async function startChat(port = 0): Promise<Chat> {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  const url = /http:\S+/.exec(String(line))?.[0]
  if (url === undefined) throw new Error(`The chat printed no address: ${line}`)
  return { process: child, url }
}

export async function stopChat(
  { process: child }: Chat,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  const ended = once(child, 'exit')
  child.kill(signal)
  const [code] = await ended
  return code as number | null
}
