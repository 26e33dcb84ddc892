// nginx reads its configuration again, as docs/DEPLOYING.md says: its old processes end after a while, and sessions go on over the new.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { startProxy } from '../support/proxies.ts'
import { end, messagesOf, watch } from '../support/serving.ts'
import { needs } from '../support/tools.ts'

const read = (path: string): string => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
const [, configuration = ''] = /^```nginx\n(.*?)^```/ms.exec(read('NETWORKS.md')) ?? []
const [, timeout = ''] = /`(worker_shutdown_timeout) 30s;`/.exec(read('DEPLOYING.md')) ?? []

needs('nginx', 'behind a real nginx', () => {
  test.each(['websocket', 'stream', 'sse', 'polling'] as const)(
    '%s: after a reload the old worker ends, and the application sees nothing of it',
    async (transport) => {
      const http = createServer()
      /** From nginx. */
      const open = new Set<Socket>()
      http.on('connection', (connection) => {
        open.add(connection)
        connection.on('close', () => open.delete(connection))
      })
      const realtime = new WebSocketServer({ server: http, path: '/realtime' })
      onTestFinished(() => end(realtime))
      const connections = watch(realtime)
      const nginx = await startProxy(
        {
          program: 'nginx',
          top: `${timeout} 1s;`,
          config: configuration
            .replace('listen 80', 'listen 127.0.0.1:PORT')
            .replace('127.0.0.1:3000', '127.0.0.1:TARGET'),
        },
        await listen(http),
      )
      onTestFinished(() => nginx.stop())
      const url = `ws://127.0.0.1:${nginx.port}/realtime`
      const socket = new WebSocket(url, { transports: [transport], remember: false })
      onTestFinished(() => socket.terminate())
      const events: string[] = []
      for (const type of ['open', 'error', 'close'] as const)
        socket.addEventListener(type, () => events.push(type))
      const [{ socket: server }] = await Promise.all([connections.next(), once(socket, 'open')])
      const received = messagesOf(server)
      socket.send('before')
      expect(await received.next()).toBe('before')

      const old = [...open]
      expect(old.length).toBeGreaterThan(0)
      nginx.reload()
      await expect.poll(() => old.some((connection) => open.has(connection))).toBe(false)
      socket.send('after')
      expect(await received.next()).toBe('after')
      const message = once(socket, 'message')
      server.send('and back')
      expect(String((await message)[0])).toBe('and back')
      expect(events).toEqual(['open'])
    },
  )
})
