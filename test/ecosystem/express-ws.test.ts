// Its routes are those of Express, which go by method and path: a session over HTTP is shown to them as a handshake.
import { createServer } from 'node:http'
import express from 'express'
import type expressWsType from 'express-ws'
import { expect } from 'vitest'
import type { Socket } from '../../server/index.ts'
import * as ws from '../../ws/index.ts'
import { importReplacing } from './replaced.ts'
import { numbers, onEachTransport } from './setting.ts'

const count = 300

const { default: expressWs } = await importReplacing<{ default: typeof expressWsType }>(
  'express-ws',
  'ws',
  ws,
)

const makeServer = () => {
  const app = express()
  const server = createServer(app)
  const { app: routes } = expressWs(app, server)
  routes.ws('/rooms/:room', (client, request) => {
    const socket = client as unknown as Socket
    socket.send(`${request.method} ${request.params.room} ${request.headers.upgrade} ${request.query.as}`)
    socket.on('message', (data) => {
      if (String(data) === 'goodbye') socket.close(4002, 'Goodbye')
      else socket.send(String(data))
    })
  })
  return server
}

onEachTransport(
  'express-ws',
  async (setting) => {
    const socket = new setting.WebSocket(`${setting.url}/rooms/red?as=ada`)
    const greeting = await new Promise<MessageEvent>((resolve) => {
      socket.onmessage = resolve
    })
    expect(greeting.data).toBe('GET red websocket ada')
    const messages: unknown[] = []
    const steps = setting.steps(count, (i) => socket.send(`${i}`))
    socket.onmessage = ({ data }) => {
      messages.push(Number(data))
      steps.ended()
    }
    await steps.all
    expect(messages).toEqual(numbers(count))
    socket.send('goodbye')
    await setting.finished(4002)
  },
  makeServer,
)
