// Without a framework, http or https: the middleware is a listener like any other. `node examples/frameworks/http.mjs`
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { WebSocketServer } from 'everwire/server'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const { PORT = 3000, KEY, CERT } = process.env
const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })

function listener(req, res) {
  const { pathname, searchParams } = new URL(req.url, 'http://localhost')
  if (pathname === '/') return res.setHeader('Content-Type', 'text/html').end(page)
  if (pathname === '/sign-in' && req.method === 'POST') {
    const cookie = cookieFor(searchParams.get('name'))
    return cookie ? res.writeHead(204, { 'Set-Cookie': cookie }).end() : res.writeHead(400).end()
  }

  req.user = visitorOf(req)
  if (!req.user) return res.writeHead(401).end('Sign in first')
  if (pathname === '/me') return res.end(req.user)
  if (pathname.startsWith('/realtime')) return realtime.middleware(req, res)
  res.writeHead(404).end()
}

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const server = KEY
  ? createSecureServer({ key: readFileSync(KEY), cert: readFileSync(CERT) }, listener)
  : createServer(listener)
server.listen(PORT, () => console.log(`http${KEY ? 's' : ''}://localhost:${server.address().port}`))
