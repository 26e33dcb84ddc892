// Fastify's app.close() as in the recipe: every client gets the same close code, also one that is just looking for its session.
import { expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { startProgram } from '../support/program.ts'

test.each(['websocket', 'stream', 'sse', 'polling'] as const)('%s', async (transport) => {
  const program = await startProgram('examples/frameworks/fastify.mjs')
  onTestFinished(() => program.stop())
  const network = await hostileNetwork(program.url)
  onTestFinished(() => network.close())
  const answer = await fetch(`${program.url}/sign-in?name=ada`, { method: 'POST' })
  const Cookie = String(answer.headers.get('set-cookie')).split(';')[0] as string
  const clients = await Promise.all(
    [network.url, program.url].map(async (url) => {
      const options = { transports: [transport], headers: { Cookie }, remember: false }
      const socket = new WebSocket(`${url}/realtime`, options)
      const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
      await new Promise((resolve) => socket.addEventListener('message', resolve))
      return { closed }
    }),
  )
  // One of them has no connection in the moment in which the server closes.
  network.cut()
  await program.stop()
  for (const { closed } of clients) expect(await closed).toMatchObject({ code: 1012, wasClean: true })
})
