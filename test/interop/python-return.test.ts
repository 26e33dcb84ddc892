// The client of examples/python returns to a WebSocket when the network lets one through again, and nothing is lost by that.
import { expect, onTestFinished, test } from 'vitest'
import { hostileNetwork } from '../../testing/index.ts'
import { Queue } from '../support/queue.ts'
import { messagesOf, serve } from '../support/serving.ts'
import { needs } from '../support/tools.ts'
import { startPython } from './python-client.ts'

needs('python3-websockets', 'the client of examples/python', () => {
  test.each(['stream', 'polling'] as const)('goes from %s back to a WebSocket', async (fallback) => {
    const { port, connections } = await serve()
    const network = await hostileNetwork(port, { upgrade: 403 })
    onTestFinished(() => network.close())
    const told = new Queue<object>()
    const url = `ws://127.0.0.1:${network.port}/`
    const { say, kill } = startPython(url, ['websocket', fallback], (one) => told.push(one))
    onTestFinished(async () => void (await kill()))
    expect(await told.next()).toEqual({ transport: fallback })
    expect(await told.next()).toEqual({ open: '' })
    const { socket } = await connections.next()
    const messages = messagesOf(socket)
    let sent = 0
    const both = (): void => {
      socket.send(`${sent}`)
      say({ text: `${sent++}` })
    }
    for (let i = 0; i < 50; i++) both()
    network.set({ upgrade: 'pass' })
    let got = 0
    for (;;) {
      const one = await told.next()
      if ('transport' in one) {
        expect(one).toEqual({ transport: 'websocket' })
        break
      }
      expect(one).toEqual({ text: `${got++}` })
      // One after the other, so that there is always something under way when the session moves.
      both()
    }
    await expect.poll(() => socket.transport).toBe('websocket')
    for (let i = 0; i < 50; i++) both()
    while (got < sent) expect(await told.next()).toEqual({ text: `${got++}` })
    for (let i = 0; i < sent; i++) expect(await messages.next()).toBe(`${i}`)
    say({ close: 4000, reason: 'done' })
    expect(await told.next()).toEqual({ close: 4000, reason: 'done' })
  })
})
