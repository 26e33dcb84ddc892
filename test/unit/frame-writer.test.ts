import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { FrameWriter } from '../../server/base/frame-writer.ts'

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
