// Where a server listens for the others, and what it tells them of that.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { Listener } from '../../cluster/passing/listener.ts'
import { ensureBuilt } from '../../scripts/build.mjs'

test('workers of node:cluster listen at addresses of their own', async () => {
  await ensureBuilt()
  const workers = fork(fileURLToPath(new URL('workers.mjs', import.meta.url)))
  onTestFinished(() => void workers.kill())
  const over = once(workers, 'exit')
  const [addresses] = (await Promise.race([once(workers, 'message'), over])) as [string[]]
  expect(new Set(addresses).size).toBe(2)
  await over
})

test('a server that listens at all addresses names one that others can connect to', async () => {
  const listener = new Listener({ name: '', secret: () => '', request() {}, upgrade() {} })
  onTestFinished(() => listener.close())
  const [, host] = /^(.*):\d+$/.exec(await listener.listen({ host: '0.0.0.0' })) ?? []
  const own = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
  expect(own.map(({ address }) => address)).toContain(host)
})
