// `npm start` as people run it: it serves the demo, and nothing of it stays when npm is ended.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('the demo ends with the npm that began it', { skip: process.platform === 'win32' }, async () => {
  const npm = spawn('npm', ['start'], {
    cwd: root,
    detached: true,
    env: { ...process.env, PORT: '0', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    // Whatever is left of it.
    try {
      process.kill(-(npm.pid as number), 'SIGKILL')
    } catch {}
  })
  let printed = ''
  npm.stdout.setEncoding('utf8')
  const url = await new Promise<string>((resolve) => {
    npm.stdout.on('data', (text: string) => {
      printed += text
      const found = /http:\S+/.exec(printed)?.[0]
      if (found) resolve(found)
    })
  })
  const page = await fetch(url)
  expect(await page.text()).toContain('<!doctype html>')

  const line = connect(Number(new URL(url).port), '127.0.0.1')
  await once(line, 'connect')
  const closed = once(line, 'close')
  // npm alone, as a process manager ends it.
  process.kill(npm.pid as number, 'SIGTERM')
  await closed
  await expect(fetch(url)).rejects.toThrow()
})
