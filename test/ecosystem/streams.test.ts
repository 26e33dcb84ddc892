// What Node's own streams and whoever builds on them see: bytes, with back pressure, and an end.
import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect } from 'vitest'
import { createWebSocketStream } from '../../server/index.ts'
import { numbers, onEachTransport } from './setting.ts'

const chunks = 48

function chunk(i: number): Buffer {
  return createHash('shake256', { outputLength: 65_536 }).update(`${i}`).digest()
}

onEachTransport('createWebSocketStream, piped', async (setting) => {
  setting.serve().on('connection', (socket) => {
    const stream = createWebSocketStream(socket)
    // Small buffers, so that pauses reach the client.
    pipeline(stream, new PassThrough({ highWaterMark: 1024 }), stream).catch(() => {})
  })
  const stream = createWebSocketStream(new setting.WebSocket(setting.url))
  const pieces = numbers(chunks).map(chunk)
  const all = Buffer.concat(pieces)
  const come = createHash('sha256')
  // It stays open at its end: a WebSocket is never closed one way only.
  Readable.from(pieces).pipe(stream, { end: false })
  let [size, cut] = [0, all.length / 6]
  for await (const piece of stream) {
    come.update(piece as Buffer)
    size += (piece as Buffer).length
    if (size > cut) {
      setting.disturb()
      cut += all.length / 3
    }
    if (size === all.length) stream.end()
  }
  expect(size).toBe(all.length)
  expect(come.digest('hex')).toBe(createHash('sha256').update(all).digest('hex'))
  await setting.finished(1005)
})
