// A node that does not answer: whoever waits for it, one looks for it.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { Silence } from '../../cluster/silence.ts'
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
