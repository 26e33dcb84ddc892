// Express 4 and 5: `app.use`, after the middleware that guards it. `node examples/frameworks/express.mjs`
import { WebSocketServer } from 'everwire/server'
import express from 'express'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const app = express()
const realtime = new WebSocketServer({ noServer: true })

app.get('/', (_req, res) => res.type('html').send(page))
app.post('/sign-in', (req, res) => {
  const cookie = cookieFor(req.query.name)
  if (cookie) res.set('Set-Cookie', cookie).sendStatus(204)
  else res.sendStatus(400)
})

app.use((req, res, next) => {
  req.user = visitorOf(req)
  if (req.user) next()
  else res.status(401).send('Sign in first')
})
app.get('/me', (req, res) => res.send(req.user))
app.use('/realtime', realtime.middleware)

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://localhost:${server.address().port}`)
})
