// Any request on any node: a balancer gives each one to the next of three servers, and the session does not notice.
import { describe, expect, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import type { Socket } from '../../server/index.ts'
import { startNodes } from './nodes.ts'

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const messages = 200

/** Answers what it is told, and says as many messages of its own. */
function talkative(socket: Socket): void {
  for (let i = 0; i < messages; i++) socket.send(`own ${i}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

test('a balancer that reads the name of the node sends each exchange to the server that has the session', async () => {
  const { nodes, balancer } = await startNodes()
  const names: (string | undefined)[] = []
  balancer.choose = (url) => {
    const [, name] = /[?&]everwire=1\.([\w-]+)(&|$)/.exec(url) ?? []
    names.push(name)
    return nodes.find(({ member }) => member.name === name)?.port
  }
  const passed: string[] = []
  for (const { member } of nodes) {
    const route = member.route.bind(member)
    member.route = (...args) => {
      passed.push(args[0])
      return route(...args)
    }
  }
  for (const { realtime } of nodes)
    realtime.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  const client = new WebSocket(balancer.url, [], { transports: ['polling'] })
  let heard = 0
  await new Promise<void>((resolve, reject) => {
    client.addEventListener('open', () => client.send('0'))
    client.addEventListener('message', () => (++heard === 30 ? resolve() : client.send(`${heard}`)))
    client.addEventListener('close', ({ reason }) => reject(new Error(reason)))
  })
  // Only the one that opened the session was new to its server.
  expect(passed.length).toBe(1)
  expect(names.filter((name) => name === undefined).length).toBe(1)
  expect(new Set(names).size).toBe(2)
  expect(names.at(-1)).toMatch(/^test-/)
  client.terminate()
})

describe.for([...all.map((one) => [one, [one]] as const), ['all transports', undefined] as const])(
  'over %s',
  ([, transports]) => {
    test('messages arrive once and in order in both directions', async () => {
      const { nodes, balancer } = await startNodes()
      const shown: Socket[] = []
      for (const { realtime } of nodes)
        realtime.on('connection', (socket) => {
          shown.push(socket)
          talkative(socket)
        })
      const client = new WebSocket(balancer.url, [], transports ? { transports } : {})
      const heard: string[] = []
      client.addEventListener('open', () => {
        for (let i = 0; i < messages; i++) client.send(`echo ${i}`)
      })
      const big = 'x'.repeat(300_000)
      await new Promise<void>((resolve, reject) => {
        client.addEventListener('message', ({ data }) => {
          heard.push(data)
          if (heard.length === 2 * messages) client.send(big)
          if (data === big) resolve()
        })
        client.addEventListener('close', ({ code, reason }) => reject(new Error(`${code} ${reason}`)))
      })
      const numbers = Array.from({ length: messages }, (_, i) => i)
      expect(heard.filter((one) => one.startsWith('own'))).toEqual(numbers.map((i) => `own ${i}`))
      expect(heard.filter((one) => one.startsWith('echo'))).toEqual(numbers.map((i) => `echo ${i}`))
      expect(shown.length).toBe(1)
      const closed = new Promise((resolve) =>
        shown[0]?.once('close', (code, reason) => resolve([code, `${reason}`])),
      )
      client.close(4321, 'done')
      expect(await closed).toEqual([4321, 'done'])
    })
  },
)
