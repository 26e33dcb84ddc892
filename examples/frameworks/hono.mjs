// Hono on Node: a route that gives Node's request and response to everwire. `node examples/frameworks/hono.mjs`
import { serve } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { WebSocketServer } from 'everwire/server'
import { Hono } from 'hono'
import { cookieFor, page, visitorOf } from './visitor.mjs'

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

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`http://localhost:${port}`)
})
