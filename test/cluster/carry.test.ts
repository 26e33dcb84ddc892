// What middleware has put on a request comes along to the server that answers it.
import { createServer, type IncomingMessage } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { passedHeader, SignatureReader, Signer } from '../../cluster/passing/signature.ts'
import { carriedBy } from '../../server/entry/carrying.ts'
import type { ServerOptions } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { RawClient } from '../support/raw-client.ts'
import { joinNode } from './nodes.ts'

type WithUser = IncomingMessage & { user?: { readonly name: string } }

/** Two servers, the second behind middleware that says who asks. Returns what `verifyClient` of the first one saw. */
async function seen(options: ServerOptions): Promise<readonly unknown[]> {
  const store = new MemoryStore()
  const users: unknown[] = []
  const first = await joinNode(store.engine(), {
    // A held exchange is answered after this time.
    heartbeat: 500,
    verifyResume: true,
    verifyClient: ({ req, resuming }) => {
      if (resuming) users.push((req as WithUser).user, req.url)
      return true
    },
  })
  const second = await joinNode(store.engine(), options)
  const app = createServer((request: WithUser, response) => {
    request.user = { name: 'Ada' }
    second.realtime.middleware(request, response)
  })
  const port = await listen(app)
  onTestFinished(() => {
    app.closeAllConnections()
    app.close()
  })
  const client = new RawClient(first.url)
  await client.open()
  Object.assign(client, { url: `http://127.0.0.1:${port}/realtime` })
  // Another connection of the session.
  expect((await client.poll({ epoch: 2 })).status).toBe(200)
  return users
}

test('verifyClient sees at the owner what comes along', async () => {
  const carry = (request: IncomingMessage) => ({ user: (request as WithUser).user, url: '/another' })
  expect(await seen({ carry })).toEqual([{ name: 'Ada' }, '/realtime'])
})

test('nothing comes along by itself', async () => {
  expect(await seen({})).toEqual([undefined, '/realtime'])
})

test('what comes along is plain and small, or nothing comes', async () => {
  const request = {} as IncomingMessage
  const errors: string[] = []
  const before = process.listeners('uncaughtException')
  for (const listener of before) process.off('uncaughtException', listener)
  const note = (error: Error): void => void errors.push(error.message)
  process.on('uncaughtException', note)
  onTestFinished(() => {
    process.off('uncaughtException', note)
    for (const listener of before) process.on('uncaughtException', listener)
  })
  expect(carriedBy(request, undefined)).toBe('')
  expect(carriedBy(request, () => undefined)).toBe('')
  expect(carriedBy(request, () => ({ user: 'ü' }))).toBe('{"user":"ü"}')
  expect(carriedBy(request, () => [1])).toBe('')
  expect(carriedBy(request, async () => ({ user: 'u' }))).toBe('')
  expect(carriedBy(request, () => ({ user: 'x'.repeat(4_096) }))).toBe('')
  await expect
    .poll(() => errors)
    .toEqual([
      'The option "carry" must return an object',
      'The option "carry" must return an object, and no promise',
      'What the option "carry" returns must have at most 4096 bytes as JSON',
    ])
})

test('it is signed, and no client gets what another one carries', () => {
  const secret = () => 'secret'
  const [signer, reader] = [new Signer(secret), new SignatureReader(secret, 'node')]
  const signed = { method: 'POST', url: '/realtime' }
  const passed = { address: '', scheme: undefined, host: 'a', adopt: false, carried: '{"user":"ü"}' }
  const header = signer.sign('node', passed, signed)
  expect(reader.read({ [passedHeader]: header }, signed)).toEqual(passed)
  const [said = '', proof] = header.split('.')
  const forged = Buffer.from(Buffer.from(said, 'base64url').toString().replace('ü', 'u')).toString(
    'base64url',
  )
  expect(reader.read({ [passedHeader]: `${forged}.${proof}` }, signed)).toBe(undefined)
  const other = { ...passed, carried: '{"user":"o"}' }
  expect(reader.read({ [passedHeader]: signer.sign('node', other, signed) }, signed)).toEqual(other)
})

test('a header of middleware that none can have is left out', async () => {
  const store = new MemoryStore()
  const first = await joinNode(store.engine())
  const second = await joinNode(store.engine())
  const app = createServer((request, response) => {
    Object.assign(request.headers, { 'x-user': 'Łukasz', 'x-nobody': undefined, 'x y': 'z' })
    second.realtime.middleware(request, response)
  })
  const url = `http://127.0.0.1:${await listen(app)}/realtime`
  const client = new RawClient(first.url)
  await client.open()
  Object.assign(client, { url })
  expect((await client.send()).head?.status).toBe(0)
  const webSocket = client.webSocket({ epoch: 2 })
  await webSocket.next('welcome')
  await webSocket.cut()
})
