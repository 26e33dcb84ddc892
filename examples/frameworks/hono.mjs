// Hono on Node: a route that gives Node's request and response to everwire. `node examples/frameworks/hono.mjs`
// With a certificate (KEY and CERT) it speaks HTTP/2.
import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { serve } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { WebSocketServer } from 'everwire/server'
import { Hono } from 'hono'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const { PORT = 3000, KEY, CERT } = process.env
const app = new Hono()
const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })

app.get('/', (c) => c.html(page))
app.post('/sign-in', (c) => {
  const cookie = cookieFor(c.req.query('name'))
  return cookie ? c.body(null, 204, { 'Set-Cookie': cookie }) : c.body(null, 400)
})

app.use(async (c, next) => {
  c.env.incoming.user = visitorOf(c.env.incoming)
  if (!c.env.incoming.user) return c.text('Sign in first', 401)
  await next()
})
app.get('/me', (c) => c.text(c.env.incoming.user))
app.all('/realtime/*', (c) => {
  realtime.middleware(c.env.incoming, c.env.outgoing)
  return RESPONSE_ALREADY_SENT
})

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const options = {
  fetch: app.fetch,
  port: Number(PORT),
  autoCleanupIncoming: false, // on HTTP/2 it ends each exchange whose body comes later than its head
}
const secure = {
  createServer: createSecureServer,
  serverOptions: {
    key: KEY && readFileSync(KEY),
    cert: CERT && readFileSync(CERT),
    allowHTTP1: true,
    settings: { enableConnectProtocol: true },
  },
}
serve({ ...options, ...(KEY && secure) }, ({ port }) => {
  console.log(`http${KEY ? 's' : ''}://localhost:${port}`)
})
