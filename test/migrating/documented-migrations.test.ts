// The code in docs/MIGRATING.md and docs/EVENTS.md, as it stands there. Of the first: each before with its own library, each after with ours; both print the same.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'

const document = readFileSync(new URL('../../docs/MIGRATING.md', import.meta.url), 'utf8')
const setup = fileURLToPath(new URL('setup.mjs', import.meta.url))

beforeAll(ensureBuilt)

type Side = 'before' | 'after'

interface Section {
  readonly title: string
  /** Files by their names, without ending. */
  readonly before: Readonly<Record<string, string>>
  readonly after: Readonly<Record<string, string>>
}

const sections = document.split(/^## /m).flatMap((text): Section[] => {
  const of = (side: Side): Record<string, string> =>
    Object.fromEntries(
      [...text.matchAll(/^```js (\w+) (\w+)\n(.*?)^```/gms)]
        .filter(([, when]) => when === side)
        .map(([, , name, code]) => [name, code]),
    )
  const section = { title: text.split('\n')[0] ?? '', before: of('before'), after: of('after') }
  return Object.keys(section.after).length > 0 ? [section] : []
})

/** What the client of each prints. */
const printed: Readonly<Record<string, string>> = {
  'From ws': 'hello\n4001 that was all\n',
  "From the browser's WebSocket": 'nothing\ndone\n',
  'From SockJS': 'hello\nclosed\n',
  'From Socket.IO': 'welcome to the garden, Ada\nhello\n',
}

test('there is one for each', () => {
  expect(sections.map(({ title }) => title)).toEqual(Object.keys(printed))
  for (const { before, after } of sections) {
    for (const code of [before.server, before.client, after.server, after.client]) {
      expect(code).toMatch(/3000/)
    }
  }
})

describe.each(sections)('$title', (section) => {
  test.each(['before', 'after'] as const)('%s', async (side) => {
    expect(await printedBy(section[side])).toBe(printed[section.title])
  })
})

test('the code of docs/EVENTS.md', async () => {
  const events = readFileSync(new URL('../../docs/EVENTS.md', import.meta.url), 'utf8')
  const files = Object.fromEntries(
    [...events.matchAll(/^```js (\w+)\n(.*?)^```/gms)].map(([, name, code]) => [name, code]),
  )
  expect(await printedBy(files)).toBe('no-room There is no such room\nwelcome to the garden, Ada\nhello\n')
  // Its types are tested where they are used.
  const types = readFileSync(new URL('../unit/types.test.ts', import.meta.url), 'utf8')
  for (const [, code = ''] of events.matchAll(/^```ts\n(.*?)^```/gms))
    for (const line of code.trim().split('\n')) expect(types).toContain(line)
})

/** Starts the server and the client of a document, by their names, and says what the client prints. */
async function printedBy(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'everwire-migrating-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, code] of Object.entries(files)) {
    await writeFile(join(folder, `${name}.mjs`), code)
  }
  const server = start(join(folder, 'server.mjs'))
  const died = once(server, 'exit').then(() => Promise.reject(new Error('the server ended')))
  died.catch(() => {})
  const [port] = await Promise.race([once(server, 'message'), died])
  const code = files.client?.replaceAll('3000', String(port)) ?? ''
  await writeFile(join(folder, 'client.mjs'), code)
  const client = start(join(folder, 'client.mjs'))
  let output = ''
  client.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(client, 'close')
  return output
}

/** It says where it listens. */
function start(file: string): ChildProcess {
  const execArgv = ['--import', setup]
  if (!('WebSocket' in globalThis)) execArgv.push('--experimental-websocket', '--no-warnings')
  const child = fork(file, { execArgv, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
  })
  return child
}
