// docs/DEPLOYING.md, with real signals on real processes; and what keeps a process that has closed everything.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, WebSocket } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { RawClient } from '../support/raw-client.ts'

beforeAll(ensureBuilt)

const root = fileURLToPath(new URL('../..', import.meta.url))
const transports = ['websocket', 'stream', 'sse', 'polling'] as const

function start(script: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: root,
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let printed = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  child.stdout.setEncoding('utf8')
  const printedUrl = new Promise<string>((resolve) => {
    child.stdout.on('data', (text: string) => {
      printed += text
      const url = /http:\S+?(?=\/?\s)/.exec(printed)?.[0]
      if (url) resolve(url)
    })
  })
  return { child, ended, printedUrl, printed: () => printed, errors: () => errors }
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

test('several workers that share no sessions: the server says so once', async () => {
  const { child, ended, printedUrl, errors } = start('test/frameworks/siblings.mjs')
  const url = await printedUrl
  // Each request over a connection of its own, so that the workers take turns.
  for (let i = 0; i < 12; i++) {
    const client = new RawClient(url, { Connection: 'close' })
    await client.open()
    await client.send()
    await client.send([], { serial: 2 })
  }
  child.kill('SIGTERM')
  await ended
  const warnings = errors().match(/\[EVERWIRE_SEVERAL_PROCESSES\]/g) ?? []
  // One of each worker.
  expect(warnings.length).toBeGreaterThan(0)
  expect(warnings.length).toBeLessThan(3)
  expect(errors()).toContain('Join the processes by the option "cluster"')
})

test('one worker that was restarted is no reason to say so', async () => {
  const { child, ended, printedUrl, errors } = start('examples/deploying/server.mjs')
  const url = `${await printedUrl}/realtime`
  for (let i = 0; i < 3; i++) {
    const client = new RawClient(url)
    await client.send([], { serial: 2 })
  }
  child.kill('SIGTERM')
  await ended
  expect(errors()).not.toContain('EVERWIRE_SEVERAL_PROCESSES')
})
