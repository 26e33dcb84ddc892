// `NODE_DEBUG=everwire`: what client and server write of a life with a cut, over each transport.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'

const script = fileURLToPath(new URL('logged.mjs', import.meta.url))

beforeAll(ensureBuilt)

async function written(transport: string, debug: string): Promise<string> {
  const env = { ...process.env, NODE_DEBUG: debug, NO_COLOR: '1' }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, transport], { env })
  expect(stdout).toBe('')
  return stderr
}

test.each(['websocket', 'stream', 'sse', 'polling'])('over %s', async (transport) => {
  const all = await written(transport, 'everwire')
  expect(all).not.toContain('secret')
  const lines = all.trimEnd().split('\n')
  const [refused, opened] = [...new Set(all.match(/(?<=: client )[\w-]+/g))]
  for (const line of lines)
    expect(line).toMatch(/^EVERWIRE \d+: (client [\w-]{16}|server [\w-]{16}|server): \S/)
  /** What was said by whom, with the times left out. */
  const said = (who: string): string[] =>
    lines
      .map((line) => line.replace(/^EVERWIRE \d+: /, '').replace(/[\d.]+ m?s\b/g, 'a while'))
      .filter((line) => line.startsWith(`${who}: `))
      .map((line) => line.slice(who.length + 2))

  expect(said('server')).toEqual(['refuses GET /closed from 127.0.0.1 with 403: Not here'])
  expect(said(`client ${refused}`)).toEqual([
    `carrier 1, ${transport}, to open the session: begins`,
    expect.stringMatching(`^carrier 1, ${transport}: ended after a while by the network or a proxy: .*403`),
    expect.stringMatching(`^the session is over: code 1006, "${transport}: .*403`),
  ])

  const client = said(`client ${opened}`)
  expect(client.slice(0, 2)).toEqual([
    `carrier 1, ${transport}, to open the session: begins`,
    `carrier 1, ${transport}: an answer came back after a while`,
  ])
  expect(client).toContainEqual(
    expect.stringMatching(`^carrier 1, ${transport}: ended after a while by the network or a proxy: \\w`),
  )
  expect(client).toContainEqual(
    expect.stringMatching(`^carrier \\d+, ${transport}, to resume the session: begins$`),
  )
  expect(client).toContain('the session is over: code 4000, "enough"')

  const server = said(`server ${opened}`)
  const named = transport === 'sse' ? '(sse|stream)' : transport
  expect(server.slice(0, 2)).toEqual([
    'a session is opened by GET /realtime from 127.0.0.1',
    expect.stringMatching(`^carrier 1, ${named}: opens it$`),
  ])
  expect(server).toContainEqual(expect.stringMatching(`^carrier 1, ${named}: ended after a while by the `))
  expect(server).toContainEqual(
    expect.stringMatching(`^carrier \\d+, ${named}: (resumes it|takes over from ${named})$`),
  )
  expect(server).toContain('over, the application closed: code 4000, "enough"')
})

test('nobody who has not asked for it reads a line', async () => {
  expect(await written('websocket', 'http2')).toBe('')
})
