import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { FrameWriter, makeFrame } from '../../server/base/frame-writer.ts'

it('after the close frame nothing is written any more, and whoever waits for it is told', async () => {
  const socket = new PassThrough()
  const webSocket = { readyState: 1, extensions: '', bufferedAmount: 0 }
  const writer = new FrameWriter(webSocket as WebSocket, socket)
  writer.add(Buffer.from('before'), false)
  writer.flush()
  expect(socket.read()?.toString('latin1')).toContain('before')
  webSocket.readyState = 2
  writer.add(Buffer.from('after'), false)
  const error = await new Promise((resolve) => writer.flush(resolve))
  expect(error).toBeInstanceOf(Error)
  expect(socket.read()).toBeNull()
})

it('the frames of a broadcast are joined once, whoever gets them; other frames are joined for themselves', () => {
  const written: Buffer[] = []
  const frames = ['one', 'two'].map((text) => makeFrame(Buffer.from(text), false))
  const send = (parts: Buffer[]): void => {
    const socket = new PassThrough()
    socket.on('data', (data: Buffer) => written.push(data))
    const writer = new FrameWriter({ readyState: 1, extensions: '', bufferedAmount: 0 } as WebSocket, socket)
    for (const part of parts) writer.add(part.subarray(2), false, part)
    writer.flush()
  }
  send(frames)
  send([...frames])
  send([...frames].reverse())
  send(frames)
  const [first, second, reversed, again] = written
  expect(second).toBe(first)
  expect(reversed?.toString('latin1')).toBe('\x81\x03two\x81\x03one')
  expect(again?.toString('latin1')).toBe('\x81\x03one\x81\x03two')
})
