// What a library's program leaves behind when both of its ends have closed: nothing that keeps the process.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'

const program = fileURLToPath(new URL('ending.mjs', import.meta.url))
const setup = fileURLToPath(new URL('../migrating/setup.mjs', import.meta.url))

beforeAll(ensureBuilt)

test.each(['rpc-websockets', 'Socket.IO', 'Hocuspocus'])('%s, over each transport', async (library) => {
  const args = ['--import', setup, program, library]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout).toMatch(/^\d+\n$/)
  // The timers that could keep it are of 4 s and more.
  expect(Number(stdout)).toBeLessThan(2500)
})
