// docs/DEPLOYING.md, with real signals on real processes; and what keeps a process that has closed everything.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, WebSocket } from '../../client/node.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const transports = ['websocket', 'stream', 'sse', 'polling'] as const

function start(script: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: root,
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let printed = ''
  child.stdout.setEncoding('utf8')
  const printedUrl = new Promise<string>((resolve) => {
    child.stdout.on('data', (text: string) => {
      printed += text
      const url = /http:\S+?(?=\/?\s)/.exec(printed)?.[0]
      if (url) resolve(url)
    })
  })
  return { child, ended, printedUrl, printed: () => printed }
}

describe.each(transports)('%s', (transport) => {
  test('SIGTERM: the client hears 1012, and the process ends by itself', async () => {
    const { child, ended, printedUrl } = start('examples/deploying/server.mjs')
    const url = (await printedUrl).replace('localhost', '127.0.0.1')
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime`, [], { transports: [transport] })
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
    await new Promise((resolve) => {
      socket.onopen = () => socket.send('x')
      socket.onmessage = resolve
    })
    child.kill('SIGTERM')
    expect((await closed).code).toBe(1012)
    expect(await ended).toEqual([0, null])
  })

  test.each(['client', 'server', 'both'])(
    'server and client in one process, closed by the %s: nothing keeps it',
    async (who) => {
      const { ended, printed } = start('test/frameworks/both-ends.mjs', [transport, who])
      expect((await ended)[0]).toBe(0)
      const [, code, ms] = /closed\/(\d+)\/(\d+)/.exec(printed()) ?? []
      expect(code).toBe(who === 'client' ? '1000' : '1012')
      // The timers that kept it were of 3, 4, 5 and 30 s.
      expect(Number(ms)).toBeLessThan(2500)
    },
  )
})

test('a client that does not answer keeps the process no longer than within', async () => {
  const { child, ended, printedUrl } = start('examples/deploying/server.mjs', [], { WITHIN: '300' })
  const url = await printedUrl
  const client = new WebSocket(`${url.replace('http', 'ws')}/realtime`, [], { transports: ['websocket'] })
  await new Promise((resolve) => client.addEventListener('open', resolve))
  client.pause()
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  client.terminate()
})
