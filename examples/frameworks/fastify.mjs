// Fastify 5: a route that gives its request and reply to everwire, after all hooks. `node examples/frameworks/fastify.mjs`
import { WebSocketServer } from 'everwire/server'
import Fastify from 'fastify'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const app = Fastify({ return503OnClosing: false })
const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })

app.get('/', (_request, reply) => reply.type('text/html').send(page))
app.post('/sign-in', (request, reply) => {
  const cookie = cookieFor(request.query.name)
  return cookie ? reply.code(204).header('Set-Cookie', cookie).send() : reply.code(400).send()
})

app.register(async (members) => {
  members.addHook('onRequest', async (request, reply) => {
    request.raw.user = visitorOf(request)
    if (!request.raw.user) return reply.code(401).send('Sign in first')
  })
  members.get('/me', (request) => request.raw.user)

  members.register(async (scope) => {
    scope.removeAllContentTypeParsers() // everwire reads the bodies itself
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const handler = (request, reply) => {
      reply.hijack()
      realtime.middleware(request.raw, reply.raw)
    }
    scope.all('/realtime', handler)
    scope.get('/realtime/everwire.js', handler)
  })
})

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

app.addHook('preClose', () => realtime.close({ within: 5000 }))
process.once('SIGTERM', () => app.close())

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`http://localhost:${app.server.address().port}`)
