// examples/durable as people start it: what a client ordered is done exactly once, whatever is killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { ensureInstalled, root } from '../../scripts/run.mjs'
import { needs } from '../support/tools.ts'

needs(['redis-server'], 'the example of a bank', () => {
  test('is exact through repeated kills', async () => {
    await ensureBuilt()
    ensureInstalled(join(root, 'examples', 'durable', 'bank'))
    const child = spawn(process.execPath, [join(root, 'examples/durable/start.mjs')], {
      env: { ...process.env, KILLS: '5' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill())
    let printed = ''
    onTestFailed(() => console.log(printed))
    child.stdout.on('data', (text) => {
      printed += text
    })
    const [code] = await once(child, 'close')
    expect(printed).toMatch(/^exactly once: \d+ transfers, 5 kills, \d+ told again$/m)
    expect(code).toBe(0)
  })
})
