// What a status page remembers is bounded, and what it lets go is the oldest.
import { channel } from 'node:diagnostics_channel'
import { expect, onTestFinished, test } from 'vitest'
import type { Socket } from '../../server/index.ts'
import { Statistics } from '../../server/sockets/statistics.ts'
import { History, maxSamples, sampleOf } from '../../server/status/history.ts'
import { Journal } from '../../server/status/journal.ts'

const carrier = {
  type: 'carrier',
  at: 1,
  transport: 'polling',
  epoch: 1,
  received: 0,
  acknowledged: 0,
} as const

/** As far as a journal looks at it. */
function socketWith(id: string, carriers = 1): Socket {
  const diary = Array.from({ length: carriers }, (_, i) => ({ ...carrier, epoch: i + 1 }))
  return { id, readyState: 1, transport: 'polling', diary } as unknown as Socket
}

function journalOf(server: object): Journal {
  const journal = new Journal(server)
  onTestFinished(() => journal.close())
  return journal
}

const end = (server: object, socket: Socket) =>
  channel('everwire:session.end').publish({
    server,
    socket,
    plain: false,
    cause: 'lost',
    code: 1006,
    reason: '',
  })
const lose = (server: object, socket: Socket) =>
  channel('everwire:carrier.end').publish({ server, socket, carrier: { ...carrier, why: 'answer cut' } })

test('the history keeps the latest samples, in order', () => {
  const history = new History()
  const stats = new Statistics().tell({
    sessions: {
      open: 0,
      resuming: 0,
      closing: 0,
      ended: 0,
      carriers: { websocket: 0, stream: 0, sse: 0, polling: 0 },
    },
    plain: { open: 0 },
    waiting: { messages: 0, bytes: 0 },
    memory: { used: 0, limit: 1 },
    topics: { count: 0, subscriptions: 0 },
  })
  for (let at = 1; at <= maxSamples + 5; at++) history.add(sampleOf(stats, at))
  const times = history.samples.map(({ at }) => at)
  expect(times).toEqual(Array.from({ length: maxSamples }, (_, i) => i + 6))
})

test('the journal keeps the latest clients and the latest of their carriers', () => {
  const server = {}
  const journal = journalOf(server)
  for (let i = 1; i <= 60; i++) end(server, socketWith(`id ${i}`, 20))
  expect(journal.ended.map(({ n }) => n)).toEqual(Array.from({ length: 50 }, (_, i) => 60 - i))
  expect(journal.ended[0]).toMatchObject({ id: 'id 60', omitted: 4 })
  expect(journal.ended[0]?.carriers.map(({ epoch }) => epoch)).toEqual(
    Array.from({ length: 16 }, (_, i) => i + 5),
  )
})

test('the journal keeps the latest sessions in trouble, for a quarter of an hour', () => {
  const server = {}
  const journal = journalOf(server)
  const sockets = Array.from({ length: 60 }, (_, i) => socketWith(`id ${i}`))
  for (const socket of sockets) lose(server, socket)
  lose(server, sockets[20] as Socket)
  const now = Date.now()
  const ids = journal.troubled(now).map(({ id, times }) => `${id}: ${times}`)
  expect(ids).toHaveLength(50)
  expect(ids.slice(0, 2)).toEqual(['id 20: 2', 'id 59: 1'])
  expect(journal.troubled(now + 16 * 60_000)).toEqual([])
})

test('the journal enters the clients of its own server alone', () => {
  const journal = journalOf({})
  const other = {}
  end(other, socketWith('other'))
  lose(other, socketWith('other'))
  expect([journal.ended, journal.troubled(Date.now())]).toEqual([[], []])
})

test('a move to a better transport is no trouble, one to a lesser transport is', () => {
  const server = {}
  const journal = journalOf(server)
  const move = (from: string, transport: string) =>
    channel('everwire:carrier.begin').publish({
      server,
      socket: socketWith(`${from} to ${transport}`),
      purpose: 'move',
      from,
      carrier: { ...carrier, transport },
    })
  move('polling', 'websocket')
  move('websocket', 'stream')
  expect(journal.troubled(Date.now()).map(({ id }) => id)).toEqual(['websocket to stream'])
})
