// The class suite in Node: on our client over each transport alone and over all, and on the class of `ws`.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket as Reference } from 'ws'
import { type Transport, WebSocket } from '../../client/node.ts'
import { caseNames, runNamed, type Subject } from './class-contract.ts'
import { type ClassServer, freeAddress, startClassServer } from './class-server.ts'
import { Tally } from './tally.ts'

interface Row {
  readonly name: string
  readonly Class: Subject['WebSocket']
  readonly kind: Subject['kind']
  readonly server: 'everwire' | 'ws'
  readonly transports?: readonly Transport[]
  readonly session?: boolean
}

setFlagsFromString('--expose-gc')
globalThis.gc = runInNewContext('gc')

const ours = WebSocket as unknown as Subject['WebSocket']
const reference = Reference as unknown as Subject['WebSocket']
const tally = new Tally()

afterAll(() => tally.print())

const everwire = { Class: ours, kind: 'everwire', server: 'everwire' } as const

describe.each<Row>([
  { ...everwire, name: 'everwire over websocket', transports: ['websocket'] },
  { ...everwire, name: 'everwire over stream', transports: ['stream'] },
  { ...everwire, name: 'everwire over sse', transports: ['sse'] },
  { ...everwire, name: 'everwire over polling', transports: ['polling'] },
  { ...everwire, name: 'everwire over all' },
  { ...everwire, name: 'everwire without a session', session: false },
  { ...everwire, name: 'everwire without a session, to ws', session: false, server: 'ws' },
  { name: 'ws, to its own server', Class: reference, kind: 'ws', server: 'ws' },
  { name: "ws, to everwire's server", Class: reference, kind: 'ws', server: 'everwire' },
])('$name', ({ name, Class, kind, server: serverKind, ...options }) => {
  let server: ClassServer
  let deadUrl: string

  beforeAll(async () => {
    server = await startClassServer(serverKind)
    deadUrl = await freeAddress()
  })

  afterAll(() => server.close())

  test.each(caseNames)('%s', async (caseName) => {
    const subject = { WebSocket: Class, kind, url: server.url, deadUrl }
    const outcome = await runNamed(caseName, { ...subject, options })
    tally.count(name, outcome)
    expect(outcome.error).toBe(undefined)
  })
})
