// A node that does not answer: whoever waits for it, one looks for it.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { Silence } from '../../cluster/owners/silence.ts'
import { Passing } from '../../cluster/passing/passing.ts'
import { Relay } from '../../cluster/passing/relay.ts'
import { freePort } from '../support/proxies.ts'

const many = Array.from({ length: 200 })

test('while its lease lasts it is looked for once at a time', async () => {
  const port = await freePort()
  let looks = 0
  let dead = (): void => {}
  const known = new Promise<void>((resolve) => {
    dead = resolve
  })
  const silence = new Silence({
    look: async () => {
      if (++looks < 3) return () => connect(port, '127.0.0.1')
      dead()
      return undefined
    },
  })
  const waiting = many.map(() => silence.over('node'))
  expect(silence.has('node')).toBe(true)
  await Promise.all([known, ...waiting])
  expect(looks).toBe(3)
})

test('it is over when the node takes connections again', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  let looks = 0
  const silence = new Silence({
    look: async () => {
      looks++
      return () => connect(port, '127.0.0.1')
    },
  })
  await Promise.all(many.map(() => silence.over('node')))
  expect(looks).toBe(1)
  expect(silence.has('node')).toBe(false)
})

test('if the store cannot be asked, those who wait ask the others', async () => {
  let looks = 0
  const silence = new Silence({ look: () => Promise.reject(new Error(`away ${looks++}`)) })
  await Promise.all(many.map(() => silence.over('node')))
  expect(looks).toBe(1)
  expect(silence.has('node')).toBe(false)
})

test('it is over when a node takes connections through the store', async () => {
  const secret = () => 'a secret of both'
  const relay = (name: string): Relay =>
    new Relay({
      name,
      secret,
      engine: { tell: async (to, data) => queueMicrotask(() => (to === 'one' ? one : two).told(data)) },
      connected: () => {},
    })
  const [one, two] = [relay('one'), relay('two')]
  const passing = new Passing(secret, one)
  let looks = 0
  const silence = new Silence({
    look: async () => {
      looks++
      return () => passing.connect({ name: 'two', address: '', version: '1.0' })
    },
  })
  await Promise.all(many.map(() => silence.over('two')))
  expect(looks).toBe(1)
  expect(silence.has('two')).toBe(false)
})

test('whoever waits knows that it is dead, also while a connection to it is being made', async () => {
  let looks = 0
  const silence = new Silence({
    look: async () => (++looks < 3 ? () => new Duplex({ read() {} }) : undefined),
  })
  await silence.over('node')
  expect(silence.has('node')).toBe(false)
  expect(looks).toBe(3)
})
