// A program in a process of its own, as people start it: until the test is through.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ensureBuilt } from '../../scripts/build.mjs'

export interface Program {
  /** The address that it printed. */
  readonly url: string
  stop(): Promise<void>
}

const root = new URL('../..', import.meta.url)

/** Starts a script of ours by its path below the root, and waits for the address that it prints. */
export async function startProgram(
  script: string,
  env: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
  args: readonly string[] = [],
): Promise<Program> {
  // It is as a user has it.
  await ensureBuilt()
  const file = fileURLToPath(new URL(script, root))
  const child = spawn(process.execPath, [...nodeOptions, file, ...args], {
    cwd: fileURLToPath(root),
    env: { ...process.env, PORT: '0', NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
  }
  let printed = ''
  child.stdout.setEncoding('utf8')
  const url = await new Promise<string | undefined>((resolve) => {
    child.stdout.on('data', (text: string) => {
      printed += text
      const found = /https?:\S+?(?=\/?\s)/.exec(printed)?.[0]
      if (found) resolve(found)
    })
    child.stdout.once('close', () => resolve(undefined))
  })
  if (url !== undefined) return { url, stop }
  await stop()
  throw new Error(`${script} printed no address: ${printed}`)
}

/** The options for Node with which it brings one package where a script asks for another. */
export function inPlaceOf(others: Readonly<Record<string, string>>): string[] {
  const hook = `const others = ${JSON.stringify(others)}
    export const resolve = (name, context, next) => next(others[name] ?? name, context)`
  const script = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(hook))})`
  return ['--import', dataUrl(script)]
}

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script)}`
}
