// Koa 3: a middleware that gives request and response to everwire, after those that guard it. `node examples/frameworks/koa.mjs`
import { WebSocketServer } from 'everwire/server'
import Koa from 'koa'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const app = new Koa()
const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })

app.use((ctx, next) => {
  if (ctx.path === '/') ctx.body = page
  else if (ctx.path === '/sign-in' && ctx.method === 'POST') {
    const cookie = cookieFor(ctx.query.name)
    ctx.status = cookie ? 204 : 400
    if (cookie) ctx.set('Set-Cookie', cookie)
  } else return next()
})

app.use((ctx, next) => {
  ctx.req.user = visitorOf(ctx.req)
  if (!ctx.req.user) ctx.throw(401, 'Sign in first')
  return next()
})

app.use((ctx, next) => {
  if (!ctx.path.startsWith('/realtime')) return next()
  ctx.respond = false
  realtime.middleware(ctx.req, ctx.res)
})

app.use((ctx) => {
  if (ctx.path === '/me') ctx.body = ctx.req.user
})

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://localhost:${server.address().port}`)
})
