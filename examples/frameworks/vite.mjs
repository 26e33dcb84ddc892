// Vite in middleware mode: its own WebSocket for hot updates, and everwire, on one server. `node examples/frameworks/vite.mjs`
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'everwire/server'
import express from 'express'
import { createServer as createVite } from 'vite'
import { cookieFor, visitorOf } from './visitor.mjs'

const app = express()
const server = createServer(app)
const realtime = new WebSocketServer({ noServer: true })
const vite = await createVite({
  root: fileURLToPath(new URL('vite', import.meta.url)),
  server: { middlewareMode: true, hmr: { server } },
})

app.post('/sign-in', (req, res) => {
  const cookie = cookieFor(req.query.name)
  if (cookie) res.set('Set-Cookie', cookie).sendStatus(204)
  else res.sendStatus(400)
})

function guard(req, res, next) {
  req.user = visitorOf(req)
  if (req.user) next()
  else res.status(401).send('Sign in first')
}
app.get('/me', guard, (req, res) => res.send(req.user))
app.use('/realtime', guard, realtime.middleware)
app.use(vite.middlewares)

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

server.listen(process.env.PORT ?? 3000, () => console.log(`http://localhost:${server.address().port}`))
