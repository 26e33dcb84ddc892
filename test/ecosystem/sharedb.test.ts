import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import ShareDB from 'sharedb'
import { Connection } from 'sharedb/lib/client/index.js'
import type { Socket as Connectable, Doc } from 'sharedb/lib/sharedb.js'
import { expect } from 'vitest'
import type { Socket } from '../../server/index.ts'
import { nextClient, numbers, onEachTransport } from './setting.ts'

const count = 300

// It has no types.
const WebSocketJSONStream = createRequire(import.meta.url)('@teamwork/websocket-json-stream') as new (
  socket: Socket,
) => Duplex

interface Sheet {
  cells: (number | string)[]
}

onEachTransport('ShareDB', async (setting) => {
  const backend = new ShareDB()
  const realtime = setting.serve()
  realtime.on('connection', (socket, request) => {
    backend.listen(new WebSocketJSONStream(socket), request)
  })
  const connect = async () => {
    const shown = nextClient(realtime)
    const connection = new Connection(new setting.WebSocket(setting.url) as unknown as Connectable)
    const states: string[] = []
    connection.on('state', (state: string) => states.push(state))
    const socket = await shown
    return { connection, states, doc: connection.get('sheets', setting.url) as Doc<Sheet>, socket }
  }
  const [writer, reader] = [await connect(), await connect()]
  await new Promise<void>((resolve, reject) => {
    writer.doc.create({ cells: [] }, (error) => (error ? reject(error) : resolve()))
  })
  await new Promise<void>((resolve, reject) => {
    reader.doc.subscribe((error) => (error ? reject(error) : resolve()))
  })
  const put = (i: number, cell: number | string): void => {
    writer.doc.submitOp([{ p: ['cells', i], li: cell }])
  }
  // One edit is under way at a time; those that wait go together.
  const steps = setting.steps(count, (i) => put(i, i))
  reader.doc.on('op', (ops) => {
    for (const _ of ops) steps.ended()
  })
  await steps.all
  expect(reader.doc.data.cells).toEqual(numbers(count))
  const large = 'x'.repeat(1_000_000)
  const arrived = new Promise((resolve) => reader.doc.once('op', resolve))
  put(count, large)
  await arrived
  expect(reader.doc.data.cells.at(-1)).toBe(large)
  await new Promise<void>((resolve) => writer.doc.whenNothingPending(resolve))
  expect(writer.doc.version).toBe(reader.doc.version)

  writer.connection.close()
  // The stream of the server's end, destroyed for a reason.
  const closed = new Promise((resolve) => reader.connection.once('disconnected', resolve))
  reader.socket.close(1011, 'stream error')
  await closed
  await setting.finished(1005, 1011)
  for (const { states } of [writer, reader]) expect(states).toEqual(['connected', 'disconnected'])
})
