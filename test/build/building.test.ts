// How `dist` is built while other processes use it, or want to build it, too.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { alone, replace } from '../../scripts/build.mjs'

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-building-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function write(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

test('what is built takes the place of what was there', () => {
  const folder = makeFolder()
  const dist = write(join(folder, 'dist'), { 'a.js': 'old', 'room/b.js': 'old', 'room/gone.js': 'old' })
  const made = write(join(folder, '.dist'), { 'a.js': 'new', 'room/b.js': 'new', 'other/c.js': 'new' })
  replace(dist, made)
  expect(existsSync(made)).toBe(false)
  const files = readdirSync(dist, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js'))
  expect(files.sort()).toEqual(['a.js', join('other', 'c.js'), join('room', 'b.js')])
  for (const name of files) expect(readFileSync(join(dist, name), 'utf8')).toBe('new')
  // The first time there is nothing.
  const first = join(folder, 'first')
  replace(first, write(made, { 'a.js': 'new' }))
  expect(readdirSync(first)).toEqual(['a.js'])
})

test('one builds at a time, and the others wait', async () => {
  const lock = join(makeFolder(), 'deep', 'lock')
  let isBusy = false
  let count = 0
  const work = async (): Promise<number> => {
    expect(isBusy).toBe(false)
    isBusy = true
    await new Promise((resolve) => setImmediate(resolve))
    isBusy = false
    return ++count
  }
  const all = await Promise.all([alone(lock, work), alone(lock, work), alone(lock, work)])
  expect(all.sort()).toEqual([1, 2, 3])
  await expect(alone(lock, () => Promise.reject(new Error('tsc failed')))).rejects.toThrow('tsc failed')
  expect(readdirSync(dirname(lock))).toEqual([])
})

test('the lock of a process that has died keeps nobody waiting, nor one that is too old', async () => {
  const lock = join(makeFolder(), 'lock')
  const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(dead, 'exit')
  writeFileSync(lock, String(dead.pid))
  expect(await alone(lock, async () => 'built')).toBe('built')
  writeFileSync(lock, String(process.pid))
  utimesSync(lock, 0, 0)
  expect(await alone(lock, async () => 'built')).toBe('built')
})
