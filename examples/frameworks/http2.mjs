// Without a framework, HTTP/2: the server of node:http2 with a certificate. `KEY=key.pem CERT=cert.pem node examples/frameworks/http2.mjs`
import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { WebSocketServer } from 'everwire/server'
import { cookieFor, page, visitorOf } from './visitor.mjs'

const { PORT = 3000, KEY = 'key.pem', CERT = 'cert.pem' } = process.env
const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })

const options = {
  key: readFileSync(KEY),
  cert: readFileSync(CERT),
  allowHTTP1: true, // for clients that do not speak HTTP/2
  settings: { enableConnectProtocol: true }, // for WebSockets over HTTP/2
}

const server = createSecureServer(options, (req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'https://localhost')
  if (pathname === '/') return res.writeHead(200, { 'Content-Type': 'text/html' }).end(page)
  if (pathname === '/sign-in' && req.method === 'POST') {
    const cookie = cookieFor(searchParams.get('name'))
    return cookie ? res.writeHead(204, { 'Set-Cookie': cookie }).end() : res.writeHead(400).end()
  }

  req.user = visitorOf(req)
  if (!req.user) return res.writeHead(401).end('Sign in first')
  if (pathname === '/me') return res.end(req.user)
  if (pathname.startsWith('/realtime')) return realtime.middleware(req, res)
  res.writeHead(404).end()
})

realtime.on('connection', (socket, { user }) => {
  socket.send(`hello ${user}`)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

server.listen(PORT, () => console.log(`https://localhost:${server.address().port}`))
