// The client as it is built, in runtimes beside Node and browsers: what their own resolution of the package gives them, and the
// browser's entry, which what is bundled for the edge gets.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { findTool } from '../../scripts/tools.mjs'
import { Conversation, type Told, wholeConversation } from '../support/conversation.ts'
import { needs } from '../support/tools.ts'

const script = fileURLToPath(new URL('converse-here.mjs', import.meta.url))
const browserEntry = new URL('../../dist/client/browser.js', import.meta.url).href

const commands = {
  deno: ['run', '--allow-all', '--no-prompt', '--no-lock', '--node-modules-dir=manual'],
  bun: ['run'],
} as const

let conversation: Conversation
let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'everwire-runtimes-'))
  await ensureBuilt()
})

afterAll(() => rm(home, { recursive: true, force: true }))

beforeEach(async () => {
  conversation = await Conversation.begin()
})

afterEach(() => conversation.end())

async function converse(program: keyof typeof commands, entry: string, options: object): Promise<Told> {
  const env = { ...process.env, HOME: home, DENO_DIR: home, DENO_NO_UPDATE_CHECK: '1', DO_NOT_TRACK: '1' }
  const args = [...commands[program], script, entry, conversation.url, JSON.stringify(options)]
  const { stdout } = await promisify(execFile)(findTool(program) ?? program, args, { env, timeout: 100_000 })
  return JSON.parse(stdout)
}

for (const program of ['deno', 'bun'] as const) {
  needs(program, `the client in ${program}`, () => {
    describe.each([
      ['as it finds it', 'everwire'],
      ["by the browser's entry", browserEntry],
    ])('%s', (_name, entry) => {
      test.each(['websocket', 'stream', 'sse', 'polling'] as const)(
        'a conversation over %s, cut in the middle',
        async (transport) => {
          expect(await converse(program, entry, { transports: [transport] })).toEqual(
            Conversation.over(transport),
          )
          expect(conversation.ends).toEqual(['4321 bÿe'])
        },
      )

      test('where WebSockets are refused it streams', async () => {
        conversation.network.set({ upgrade: 403 })
        const { events, transports } = await converse(program, entry, {})
        expect(events).toEqual(wholeConversation)
        expect(transports).toEqual(['stream'])
      })
    })
  })
}
