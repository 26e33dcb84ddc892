// What our client must be able to do at an ordinary WebSocket server, with `session: false`.
import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { Queue } from '../support/queue.ts'
import type { Close } from './room.ts'

/** A server that says back what it hears, closes with 4009 at "close me", and cuts the connection at "drop me". */
export interface PlainServer {
  readonly url: string
  /** How its clients ended, one after the other. */
  closed(): Promise<Close>
}

export function plainServer(serve: (protocols: readonly string[]) => Promise<PlainServer>): void {
  async function enter(known: readonly string[] = [], offered: readonly string[] = []) {
    const server = await serve(known)
    const socket = new WebSocket(server.url, offered, { session: false })
    const events = new Queue<string | Buffer>()
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => events.push('open')
    socket.onerror = () => events.push('error')
    socket.onmessage = ({ data }) => events.push(typeof data === 'string' ? data : Buffer.from(data))
    socket.onclose = ({ code, reason, wasClean }) =>
      events.push(`close ${code} ${reason} ${wasClean ? 'clean' : 'not clean'}`)
    onTestFinished(() => socket.close())
    return { server, socket, events }
  }

  test('offers what the application offers and nothing else', async () => {
    const { socket, events } = await enter(['a.2'], ['a.1', 'a.2'])
    expect(await events.next()).toBe('open')
    expect(socket.protocol).toBe('a.2')
    expect(socket.transport).toBe('websocket')
  })

  test('text and binary as they are, and bufferedAmount', async () => {
    const { socket, events } = await enter()
    expect(await events.next()).toBe('open')
    expect(socket.protocol).toBe('')
    const bytes = randomBytes(1_000_000)
    const texts = ['grüße 🚀', '', '\0a nul', '\0w{}']
    for (const text of texts) socket.send(text)
    socket.send(new Uint8Array(bytes))
    expect(socket.bufferedAmount).toBe(
      bytes.length + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    )
    for (const text of texts) expect(await events.next()).toBe(text)
    expect(bytes.equals((await events.next()) as Buffer)).toBe(true)
    expect(socket.bufferedAmount).toBe(0)
  })

  test('close codes and reasons, both ways', async () => {
    const { server, socket, events } = await enter()
    expect(await events.next()).toBe('open')
    socket.close(4007, 'genug')
    expect(await server.closed()).toEqual({ code: 4007, reason: 'genug' })
    // Some servers answer with the code alone.
    expect(await events.next()).toMatch(/^close 4007 (genug)? clean$/)
    expect(socket.transport).toBe(null)

    const another = await enter()
    expect(await another.events.next()).toBe('open')
    another.socket.send('close me')
    expect(await another.events.next()).toBe('close 4009 as asked clean')
    expect(another.socket.diary).toMatchObject([{ type: 'close', code: 4009, reason: 'as asked' }])
  })

  test('a connection that is lost is lost: 1006', async () => {
    const { socket, events } = await enter()
    expect(await events.next()).toBe('open')
    socket.send('drop me')
    expect(await events.next()).toBe('close 1006  not clean')
  })

  test('without the option it closes, with a reason, and never opens', async () => {
    const server = await serve([])
    const socket = new WebSocket(server.url, { remember: false, connectTimeout: 1000 })
    let opened = false
    socket.onopen = () => {
      opened = true
    }
    socket.onmessage = () => {
      opened = true
    }
    onTestFinished(() => socket.close())
    const { code, reason } = await new Promise<{ code: number; reason: string }>((resolve) => {
      socket.onclose = resolve
    })
    expect([opened, code]).toEqual([false, 1006])
    expect(reason).toMatch(/^websocket: .*; polling: 4\d\d|polling: /)
  })
}
