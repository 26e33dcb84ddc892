// The servers of docs/AUTH.md, as they stand there, over every transport.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, type Transport, WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'

const document = readFileSync(new URL('../../docs/AUTH.md', import.meta.url), 'utf8')
const setup = fileURLToPath(new URL('../migrating/setup.mjs', import.meta.url))
const secret = 'of the test'

/** Runs a server of the document, and what the test adds to it, until all tests are through. Returns its address. */
async function serve(name: 'cookies' | 'tokens', more = ''): Promise<string> {
  const [, code = ''] = new RegExp(`^\`\`\`js ${name}\\n(.*?)^\`\`\``, 'ms').exec(document) ?? []
  const folder = await mkdtemp(join(tmpdir(), 'everwire-auth-'))
  const file = join(folder, 'server.mjs')
  await writeFile(file, code + more)
  const env = { ...process.env, SESSION_SECRET: secret, TOKEN_SECRET: secret, LOOK_EVERY: '100' }
  const server: ChildProcess = fork(file, { execArgv: ['--import', setup], env })
  const died = once(server, 'exit').then(() => Promise.reject(new Error('the server ended')))
  died.catch(() => {})
  running.push(async () => {
    server.kill('SIGKILL')
    await died.catch(() => {})
    await rm(folder, { recursive: true, force: true })
  })
  const [port] = await Promise.race([once(server, 'message'), died])
  return `http://127.0.0.1:${port}`
}

const running: (() => Promise<void>)[] = []
/** For what no user of the document's application may do. */
const forget = `
app.post('/forget/:user', (request, response) => {
  for (const [id, login] of Object.entries(store.sessions)) if (JSON.parse(login).user === request.params.user) delete store.sessions[id]
  response.end()
})`
let cookies = ''
let tokens = ''
beforeAll(async () => {
  await ensureBuilt()
  cookies = await serve('cookies', forget)
  tokens = await serve('tokens')
})
afterAll(async () => {
  for (const stop of running) await stop()
})

interface Client {
  readonly socket: WebSocket
  readonly closed: Promise<CloseEvent>
  /** Says something, and returns the answer. */
  say(text: string): Promise<string>
}

function connect(url: string, transport: Transport, options: WebSocketOptions): Client {
  const socket = new WebSocket(`${url}/realtime`, { transports: [transport], remember: false, ...options })
  onTestFinished(() => socket.close())
  socket.onerror = () => {}
  return {
    socket,
    closed: new Promise((resolve) => socket.addEventListener('close', resolve)),
    async say(text) {
      if (socket.readyState === WebSocket.CONNECTING) await once(socket, 'open')
      socket.send(text)
      const [data] = (await once(socket, 'message')) as [Buffer]
      return String(data)
    },
  }
}

const endOf = async ({ closed }: Client): Promise<string> => {
  const { code, reason } = await closed
  return `${code} ${reason}`
}

describe.each<Transport>(['websocket', 'stream', 'sse', 'polling'])('%s', (transport) => {
  describe('cookies', () => {
    const ada = `ada-${transport}`

    async function signIn(): Promise<string> {
      const { headers } = await fetch(`${cookies}/sign-in/${ada}`, { method: 'POST' })
      return headers.getSetCookie()[0]?.split(';')[0] ?? ''
    }

    test('opens for those who are signed in; a sign-out ends it', async () => {
      expect(await endOf(connect(cookies, transport, {}))).toContain('401')
      const Cookie = await signIn()
      const client = connect(cookies, transport, { headers: async () => ({ Cookie }) })
      const other = connect(cookies, transport, { headers: { Cookie: await signIn() } })
      expect(await client.say('hello')).toBe(`${ada}: hello`)
      await fetch(`${cookies}/sign-out`, { method: 'POST', headers: { Cookie } })
      expect(await endOf(client)).toBe('4001 Signed out')
      // That of another browser goes on.
      expect(await other.say('hello')).toBe(`${ada}: hello`)
    })

    test('a login that is gone without a sign-out ends it, too', async () => {
      const client = connect(cookies, transport, { headers: { Cookie: await signIn() } })
      expect(await client.say('hello')).toBe(`${ada}: hello`)
      await fetch(`${cookies}/forget/${ada}`, { method: 'POST' })
      const ends = ['4001 Signed out', ...(transport === 'websocket' ? [] : ['1008 401 Unauthorized'])]
      expect(ends).toContain(await endOf(client))
    })
  })

  describe('tokens', () => {
    const ada = `ada-${transport}`
    const tokenOf = (sub: string, seconds: number): string =>
      jwt.sign({ sub }, secret, { expiresIn: seconds })

    test('opens with a good token alone', async () => {
      for (const token of ['', 'abc', jwt.sign({ sub: ada }, 'another secret'), tokenOf(ada, -1)])
        expect(await endOf(connect(tokens, transport, { token }))).toContain('401')
      const client = connect(tokens, transport, { token: tokenOf(ada, 600) })
      expect(await client.say('hello')).toBe(`${ada}: hello`)
    })

    test('a client with fresh tokens goes on in one session; without, it ends when the token does', async () => {
      let asked = 0
      let opens = 0
      const token = (): string => (++asked <= 3 ? tokenOf(ada, 2) : '')
      const client = connect(tokens, transport, { token })
      client.socket.addEventListener('open', () => opens++)
      expect(await client.say('hello')).toBe(`${ada}: hello`)
      expect(await endOf(client)).toBe('4401 Sign in again')
      expect([asked, opens]).toEqual([4, 1])
    })

    test('a token of somebody else does not go on with the session', async () => {
      let asked = 0
      const client = connect(tokens, transport, { token: () => tokenOf(++asked === 1 ? ada : 'eve', 2) })
      expect(await endOf(client)).toBe('4401 Sign in again')
    })

    test('revoked: ends at once, and opens no more', async () => {
      const token = tokenOf(`eve-${transport}`, 600)
      const client = connect(tokens, transport, { token })
      expect(await client.say('hello')).toBe(`eve-${transport}: hello`)
      await fetch(`${tokens}/revoke/eve-${transport}`, { method: 'POST' })
      expect(await endOf(client)).toBe('4401 Revoked')
      expect(await endOf(connect(tokens, transport, { token }))).toContain('401')
    })
  })
})
