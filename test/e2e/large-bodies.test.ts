// Something in front of the server takes no large request bodies, and does not say that it is for their size.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { end, messagesOf, watch } from '../support/serving.ts'

/** The rules of AWS WAF ("SizeRestrictions_BODY") allow so many bytes. */
const allowed = 8192

type Refuse = (request: IncomingMessage, response: ServerResponse) => void

const ways: readonly (readonly [how: string, refuse: Refuse])[] = [
  ['the status 403', (_request, response) => void response.writeHead(403).end('Forbidden')],
  ['a page', (_request, response) => void response.writeHead(200).end('<html>')],
  ['a cut', ({ socket }) => void socket.destroy()],
]

describe.each(['stream', 'polling'] as const)('%s:', (transport) => {
  test.each(ways)(
    'bodies over 8 KiB get %s, and a large message arrives in small ones',
    async (_how, refuse) => {
      const realtime = new WebSocketServer({ noServer: true })
      onTestFinished(() => end(realtime))
      const refused: number[] = []
      const server = createServer((request, response) => {
        const size = Number(request.headers['content-length'])
        if (size <= allowed) return realtime.middleware(request, response)
        refused.push(size)
        refuse(request, response)
      })
      const connections = watch(realtime)
      const url = `ws://127.0.0.1:${await listen(server)}`
      const client = new WebSocket(url, { transports: [transport], remember: false, patience: 3000 })
      onTestFinished(() => client.terminate())
      const closed = new Promise((resolve) => client.on('close', resolve))
      const [{ socket }] = await Promise.all([connections.next(), once(client, 'open')])
      const messages = messagesOf(socket)
      const large = 'x'.repeat(200_000)
      client.send(large)
      expect(await Promise.race([messages.next(), closed])).toBe(large)
      const lesson = refused.length
      client.send(large)
      expect(await Promise.race([messages.next(), closed])).toBe(large)
      expect(refused.length).toBe(lesson)
    },
  )
})
