// WebSockets over HTTP/2 whose clients do anything at any moment: nothing throws, nothing is left, and the connection goes on.
import { constants, type OutgoingHttpHeaders } from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Ask } from '../../shared/exchange.ts'
import { askForWebSocket, connectHttp2, openOverHttp2 } from '../support/http2.ts'
import { http2Site } from '../support/http2-servers.ts'
import { Random } from '../support/random.ts'
import { RawClient } from '../support/raw-client.ts'
import { frame } from './line.ts'

const runs = 300

test.each(['node:http2', 'the option server'])('%s: whatever a stream does', async (server) => {
  const seed = Date.now() % 1_000_000
  const random = new Random(seed)
  const faults: unknown[] = []
  const fault = (error: unknown): void => void faults.push(error)
  process.on('uncaughtException', fault)
  onTestFinished(() => void process.off('uncaughtException', fault))
  const decide = [
    (done: (ok: boolean) => void) => done(true),
    (done: (ok: boolean) => void) => done(false),
    (done: (ok: boolean) => void) => setImmediate(done, true),
    (done: (ok: boolean) => void) => setImmediate(() => setImmediate(done, false)),
  ]
  const options = {
    verifyClient: (_info: unknown, done: (ok: boolean) => void) => random.one(decide)(done),
    closeTimeout: 100,
    patience: 100,
    answerTimeout: 100,
  }
  const { realtime, url } = await http2Site(server, options, { settings: { enableConnectProtocol: true } })
  realtime.on('connection', (socket) => {
    socket.on('error', () => {})
    if (random.chance(30)) socket.pause()
    socket.send('x'.repeat(random.one([1, 1000, 100_000])))
    if (random.chance(20)) random.one([() => socket.close(4001), () => socket.terminate()])()
  })
  const client = new RawClient('')
  const heads: OutgoingHttpHeaders[] = [
    {},
    { 'sec-websocket-version': '7' },
    { 'sec-websocket-protocol': 'a,,b' },
    { 'sec-websocket-protocol': `everwire.1, ${client.token({ ask: Ask.open })}` },
    { origin: 'https://evil.example' },
    { ':path': '/page' },
    { 'sec-websocket-extensions': 'permessage-deflate' },
  ]
  let connection = await connectHttp2(url)
  for (let run = 0; run < runs; run++) {
    const stream = askForWebSocket(connection, random.one(heads))
    for (let step = random.below(6); step > 0; step--) {
      random.one([
        () => stream.write(random.bytes(40)),
        () => stream.write(frame('hello', 1)),
        () => stream.resume(),
        () => turn(),
        () => stream.end(),
        () => stream.close(random.one([0, constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR])),
      ])()
      if (stream.writableEnded || stream.closed) break
      await turn()
    }
    if (random.chance(5)) {
      connection.destroy()
      connection = await connectHttp2(url)
    }
  }
  const { webSocket } = await openAtLast()
  webSocket.terminate()
  connection.destroy()
  await expect.poll(() => realtime.clients.size, { message: `seed ${seed}` }).toBe(0)
  await expect.poll(() => realtime.memory, { message: `seed ${seed}` }).toBe(0)
  expect(faults, `seed ${seed}`).toEqual([])

  /** Whether it is let in is a matter of chance here. */
  function openAtLast(): ReturnType<typeof openOverHttp2> {
    return openOverHttp2(connection).catch(openAtLast)
  }
})
