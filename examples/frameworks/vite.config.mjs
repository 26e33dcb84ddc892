// Vite's own server, with a plugin. `npx vite --config examples/frameworks/vite.config.mjs`
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'everwire/server'
import { defineConfig } from 'vite'
import { cookieFor, visitorOf } from './visitor.mjs'

const realtimePlugin = {
  name: 'realtime',
  configureServer({ httpServer, middlewares }) {
    middlewares.use('/sign-in', (req, res) => {
      const cookie = cookieFor(new URL(req.url, 'http://localhost').searchParams.get('name'))
      if (cookie) res.writeHead(204, { 'Set-Cookie': cookie }).end()
      else res.writeHead(400).end()
    })
    middlewares.use('/me', (req, res) => {
      const user = visitorOf(req)
      res.writeHead(user ? 200 : 401).end(user)
    })

    const realtime = new WebSocketServer({
      server: httpServer,
      path: '/realtime',
      verifyClient: ({ req }, done) => {
        req.user = visitorOf(req)
        done(req.user !== undefined, 401, 'Sign in first')
      },
    })
    realtime.on('connection', (socket, { user }) => {
      socket.send(`hello ${user}`)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
  },
}

export default defineConfig({
  root: fileURLToPath(new URL('vite', import.meta.url)),
  server: { port: Number(process.env.PORT ?? 3000) },
  plugins: [realtimePlugin],
})
