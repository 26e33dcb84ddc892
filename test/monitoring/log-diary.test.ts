// `logDiary`: a line for each decision of a socket while it is made, over each transport.
import { once } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type DiaryEntry, type Status, WebSocket } from '../../client/node.ts'
import { formatDiary, logDiary } from '../../doctor/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { serve } from '../support/serving.ts'

/** Without the time, and with the times in it left out. */
const said = (line: string): string => {
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S/)
  return line.slice(25).replace(/[\d.]+ m?s\b/g, 'a while')
}

test.each(['websocket', 'stream', 'sse', 'polling'] as const)('over %s', async (transport) => {
  const { port, connections } = await serve()
  const network = await hostileNetwork(port)
  onTestFinished(() => network.close())
  const client = new WebSocket(network.url, { transports: [transport], remember: false })
  const lines: string[] = []
  const ofServer: string[] = []
  logDiary(client, (line) => lines.push(line))
  const { socket } = await connections.next()
  logDiary(socket, (line) => ofServer.push(line))
  await once(client, 'open')
  network.set({ connections: 'refuse' }).cut()
  const becomes = async (status: Status): Promise<void> => {
    while (client.status !== status) await once(client, 'statuschange')
  }
  await becomes('resuming')
  network.set({ connections: 'pass' })
  await becomes('open')
  socket.close(4000, 'enough')
  await expect.poll(() => lines.map(said)).toContain('the session is over: code 4000, "enough"')
  const all = lines.map(said)
  expect(all.slice(0, 2)).toEqual([
    `carrier 1, ${transport}, to open the session: begins`,
    `carrier 1, ${transport}: an answer came back after a while`,
  ])
  expect(all).toContainEqual(
    expect.stringMatching(`^carrier 1, ${transport}: ended after a while by the network or a proxy: \\w`),
  )
  expect(all).toContainEqual(
    expect.stringMatching(`^carrier \\d+, ${transport}, to resume the session: begins$`),
  )
  await expect.poll(() => ofServer.map(said)).toContain('the session is over: code 4000, "enough"')
  const named = transport === 'sse' ? '(sse|stream)' : transport
  expect(said(ofServer[0] as string)).toMatch(RegExp(`^carrier 1, ${named}: begins$`))
})

test('each line once, in the order of time, until the socket is closed and nothing more happens', () => {
  vi.useFakeTimers()
  try {
    const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
    const carrier: DiaryEntry = { type: 'carrier', at, transport: 'websocket', epoch: 1, purpose: 'open' }
    const socket = { diary: [carrier] as DiaryEntry[], readyState: 0 }
    const lines: string[] = []
    logDiary(socket, (line) => lines.push(line))
    expect(lines).toEqual(['2026-01-02T03:04:05.678Z carrier 1, websocket, to open the session: begins'])
    // An answer, and a sign before it that is seen at the same time.
    socket.diary = [
      { ...carrier, proven: 22 },
      { type: 'sign', at: at + 10, sign: 'network' },
    ]
    vi.advanceTimersByTime(100)
    vi.advanceTimersByTime(1000)
    expect(lines.slice(1)).toEqual([
      '2026-01-02T03:04:05.688Z a reason to look: the network has changed',
      '2026-01-02T03:04:05.700Z carrier 1, websocket: an answer came back after 22 ms',
    ])
    expect(vi.getTimerCount()).toBe(1)
    socket.readyState = 3
    socket.diary.push({ type: 'close', at: at + 2000, code: 4000, reason: '' })
    vi.advanceTimersByTime(100)
    socket.diary[0] = { ...carrier, proven: 22, ended: 2050, by: 'client', why: 'closed' }
    vi.advanceTimersByTime(100)
    expect(lines.slice(3)).toEqual([
      '2026-01-02T03:04:07.678Z the session is over: code 4000',
      '2026-01-02T03:04:07.728Z carrier 1, websocket: ended after 2 s by the client: closed',
    ])
    vi.advanceTimersByTime(100)
    expect(vi.getTimerCount()).toBe(0)
    expect(formatDiary(socket.diary).trimEnd().split('\n')).toHaveLength(3)
  } finally {
    vi.useRealTimers()
  }
})

test('its function ends it; without a place to write the console gets the lines', () => {
  vi.useFakeTimers()
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  try {
    const socket = { diary: [{ type: 'sign', at: 0, sign: 'wake' }] as DiaryEntry[], readyState: 1 }
    const stop = logDiary(socket)
    expect(log.mock.calls).toEqual([
      ['1970-01-01T00:00:00.000Z a reason to look: the page or the machine was asleep'],
    ])
    stop()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    log.mockRestore()
    vi.useRealTimers()
  }
})
