// What listeners in Node send for messages that came together leaves in one write; one answer alone leaves at once.
import { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { serve } from '../support/serving.ts'

/** The number of writes to connections to this port, from now on. */
function countWrites(port: number): () => number {
  let writes = 0
  const { _write, _writev } = Socket.prototype as unknown as Record<string, (...args: unknown[]) => void>
  const counted = (real: typeof _write) =>
    function (this: Socket, ...args: unknown[]) {
      if (this.remotePort === port) writes++
      return Reflect.apply(real as () => void, this, args)
    }
  Object.assign(Socket.prototype, { _write: counted(_write), _writev: counted(_writev) })
  onTestFinished(() => void Object.assign(Socket.prototype, { _write, _writev }))
  return () => writes
}

for (const session of [true, false]) {
  test(`16 answers to 16 messages take one write, session: ${session}`, async () => {
    const { url, port, connections } = await serve()
    const client = new WebSocket(url, [], { transports: ['websocket'], session })
    const { socket } = await connections.next()
    client.addEventListener('message', ({ data }) => client.send(data))
    const heard: string[] = []
    const echo = (count: number) =>
      new Promise<void>((resolve) => {
        socket.removeAllListeners('message')
        const all = heard.length + count
        socket.on('message', (data) => {
          heard.push(String(data))
          if (heard.length === all) resolve()
        })
        for (let i = 0; i < count; i++) socket.send(`${heard.length + i}`)
      })
    await echo(1)
    const writes = countWrites(port)
    await echo(16)
    expect(writes()).toBe(1)
    await echo(1)
    expect(writes()).toBe(2)
    expect(heard).toEqual(Array.from({ length: 18 }, (_, i) => `${i}`))
    client.close()
  })
}

test('what was sent before terminate() is not taken back', async () => {
  const { url, connections } = await serve()
  const client = new WebSocket(url, [], { session: false })
  const { socket } = await connections.next()
  let told = 0
  client.addEventListener('message', () => {
    client.send(`${told++}`)
    if (told === 2) client.terminate()
  })
  const heard: string[] = []
  socket.on('message', (data) => heard.push(String(data)))
  for (let i = 0; i < 4; i++) socket.send(`${i}`)
  await new Promise((resolve) => socket.once('close', resolve))
  expect(heard).toEqual(['0', '1'])
})
