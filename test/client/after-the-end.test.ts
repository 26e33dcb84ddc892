// The end of a session, and what the application does at that time: nothing of the session comes later, and nothing lives on.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { WebSocketOptions } from '../../client/base/types.ts'
import { reopeningOn, type WithReopen, watchOpen } from '../../client/socket/reopen.ts'
import { WebSocket as Base } from '../../client/socket/websocket-class.ts'
import { controlText } from '../../shared/frame.ts'
import { endPayload } from '../../shared/message.ts'
import { type FakeSocket, platform, sockets, tasks } from './fakes.ts'

class Reopening extends Base {
  protected static override readonly platform = reopeningOn(platform)
}

let log: string[]

/** A socket that begins again after a second or less, and the native socket of its session. */
function open(options: WebSocketOptions & WithReopen = {}): Reopening {
  const socket = new Reopening('ws://server.example/', {
    transports: ['websocket'],
    remember: false,
    ...options,
  })
  watchOpen(socket)
  for (const type of ['open', 'error', 'close', 'transportchange', 'statuschange'])
    socket.addEventListener(type, () => log.push(`${type} ${socket.readyState} ${socket.status}`))
  return socket
}

async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0)
  for (let task = tasks.shift(); task; task = tasks.shift()) {
    task()
    await vi.advanceTimersByTimeAsync(0)
  }
}

const native = (): FakeSocket => sockets.at(-1) as FakeSocket

beforeEach(() => {
  vi.useFakeTimers()
  log = []
  sockets.length = 0
})

afterEach(() => {
  tasks.length = 0
  vi.useRealTimers()
})

test('everwire/reopen: `token` may close the socket, which then is closed for good', async () => {
  let signedIn = true
  const socket: Reopening = open({
    token() {
      if (!signedIn) socket.close()
      return 'a'
    },
  })
  await settled()
  native().welcome()
  signedIn = false
  // The server has ended the session.
  native().receive(controlText('abort', endPayload(1011, '')))
  await settled()
  expect(socket.readyState).toBe(0)
  log = []
  await vi.advanceTimersByTimeAsync(1000)
  await settled()
  expect(log).toEqual(['error 3 closed', 'close 3 closed', 'statuschange 3 closed'])
  await vi.advanceTimersByTimeAsync(60_000)
  await settled()
  expect(log).toHaveLength(3)
  expect(sockets).toHaveLength(1)
})

/** A session that the server has closed, which has not yet heard the client's own close, and its native socket. */
async function closed(
  options?: WebSocketOptions & WithReopen,
): Promise<{ socket: Reopening; first: FakeSocket }> {
  const socket = open(options)
  const first = native()
  first.welcome()
  await settled()
  first.receive(controlText('close', endPayload(1012, 'restart')))
  await settled()
  return { socket, first }
}

test('the connection is lost after `close`: no event tells it, and there is no transport', async () => {
  const { socket, first } = await closed({ reopen: { codes: [] } })
  expect(log).toEqual(['open 1 open', 'statuschange 1 open', 'close 3 closed', 'statuschange 3 closed'])
  expect(socket.transport).toBe(null)
  first.fail()
  await settled()
  expect(log).toHaveLength(4)
})

test.each([
  ['in the pause', 0],
  ['in the next session', 1],
] as const)('everwire/reopen: what was the last session tells nothing %s', async (_when, readyState) => {
  const { socket, first } = await closed()
  expect(log.slice(2)).toEqual(['close 0 connecting', 'statuschange 0 connecting'])
  if (readyState) {
    await vi.advanceTimersByTimeAsync(1000)
    native().welcome()
    await settled()
  }
  expect(socket.readyState).toBe(readyState)
  log = []
  first.fail()
  await settled()
  expect(log).toEqual([])
})

test('close() while it connects: it was never open, and does not resume', async () => {
  const socket = open({ reopen: { codes: [] } })
  socket.close()
  expect(socket.status).toBe('connecting')
  await settled()
  expect(log).toEqual(['error 3 closed', 'close 3 closed', 'statuschange 3 closed'])
})

test.each(['in the pause', 'in `onclose`'])('everwire/reopen: close() %s does not resume', async (when) => {
  const socket = open()
  const close = () => {
    socket.close()
    socket.onclose = null
    log.push(`closing ${socket.status}`)
  }
  if (when !== 'in the pause') socket.onclose = close
  native().welcome()
  await settled()
  log = []
  native().receive(controlText('abort', endPayload(1011, '')))
  await settled()
  if (when === 'in the pause') close()
  await settled()
  expect(log.filter((entry) => entry.includes('resuming'))).toEqual([])
  expect(log.slice(-3)).toEqual(['error 3 closed', 'close 3 closed', 'statuschange 3 closed'])
  expect(log).toContain('closing connecting')
})

test.each([
  ['a', 116],
  ['ä', 58],
  ['€', 38],
  ['😀', 29],
])('a reason of many %j is cut after a whole one: it has at most 123 bytes', async (char, count) => {
  const token = () => Promise.reject(new Error(char.repeat(200)))
  const socket = open({ token, reopen: { codes: [] } })
  const reasons: string[] = []
  socket.onclose = ({ reason }) => reasons.push(reason)
  await settled()
  expect(reasons).toEqual([`token: ${char.repeat(count)}`])
})
