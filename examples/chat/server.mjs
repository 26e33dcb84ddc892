// A chat with one room, on a network that each visitor can make worse. `npm start`, or `node examples/chat/server.mjs`.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'everwire/server'
import express from 'express'
import { badNetwork } from './network.mjs'
import { Tally } from './public/tally.js'
import { giveToken, isName, sameName, suggestName, takeToken, tidyName, visitorOf } from './sign-in.mjs'

const heartbeat = 2_000
const historyLength = 50
const maxText = 2_000
const graceToReload = 3_000

const app = express()
const server = createServer(app)
const network = badNetwork(visitorOf)
const realtime = new WebSocketServer({ noServer: true, maxPayload: 16 * 1024, verifyClient })

app.disable('x-powered-by')
app.use((_req, res, next) => {
  res.set({
    'Content-Security-Policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  })
  next()
})
app.use('/realtime', network.middleware, realtime.middleware)
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))
// The modules of `everwire/doctor` for browsers, loaded without a bundler.
app.use('/everwire', express.static(fileURLToPath(new URL('..', import.meta.resolve('everwire/doctor')))))
// What the page links to: text, as it stands in the repository.
const asText = { setHeaders: (res) => res.type('text') }
app.use('/docs', express.static(fileURLToPath(new URL('../../docs', import.meta.url)), asText))
app.use('/source', express.static(fileURLToPath(new URL('.', import.meta.url)), asText))
app.use(express.json({ limit: '1kb' }))

// Signing in

const people = new Map() // visitor's id → { name, pages, leaving }
const isTaken = (name, id) =>
  [...people].some(([other, person]) => other !== id && sameName(person.name, name))

app.get('/me', (req, res) => {
  const visitor = visitorOf(req)
  const name = visitor && !isTaken(visitor.name, visitor.id) ? visitor.name : null
  res.set('Cache-Control', 'no-store')
  res.json({ name, suggestion: suggestName(isTaken), network: network.state(req) })
})

app.post('/sign-in', (req, res) => {
  const name = tidyName(req.body?.name ?? '')
  if (!isName(name)) {
    res.status(400).json({
      error: 'A name has 1 to 24 letters, digits, spaces or . _ - and begins with a letter or digit.',
    })
  } else if (isTaken(name, visitorOf(req)?.id)) {
    res.status(409).json({ error: `${name} is here already.`, suggestion: suggestName(isTaken, name) })
  } else {
    giveToken(res, name)
    res.json({ name })
  }
})

app.post('/sign-out', (_req, res) => {
  takeToken(res)
  res.json({})
})

app.post('/network', (req, res) => {
  if (!visitorOf(req)) return res.status(401).json({ error: 'Sign in first.' })
  network.change(req, req.body ?? {})
  res.json(network.state(req))
})

app.use((error, _req, res, _next) => {
  res.status(error.status ?? 500).json({ error: error.expose ? error.message : 'That went wrong.' })
})

/** Called for every transport before there is a socket. */
function verifyClient({ req }, answer) {
  const visitor = visitorOf(req)
  if (!visitor) answer(false, 401, 'Sign in first: the token is missing, wrong or too old.')
  else if (isTaken(visitor.name, visitor.id))
    answer(false, 401, `Somebody else is ${visitor.name} now: sign in again.`)
  else answer(true)
}

// The room

const history = []
const talking = new Map() // connection's number → how many messages its page has sent
let connections = 0
let announced = 0
let beats = 0

/** Sends a message to everyone in the room. */
function announce(message) {
  announced++
  realtime.publish('room', JSON.stringify({ from: 'room', n: announced, ...message }))
}

realtime.on('connection', (socket, request) => {
  const visitor = visitorOf(request)
  const id = String(++connections)
  const tally = new Tally()
  let said = 0

  /** Sends a message to this page only. */
  const say = (message) => socket.send(JSON.stringify({ from: 'server', n: ++said, ...message }))

  enter(visitor)
  socket.subscribe('room')
  say({
    type: 'welcome',
    name: visitor.name,
    people: [...people.values()].map(({ name }) => name),
    history,
    next: { room: announced + 1, ...Object.fromEntries([...talking].map(([other, n]) => [other, n + 1])) },
  })
  talking.set(id, 0)

  socket.on('message', (data, isBinary) => {
    const message = isBinary ? undefined : readMessage(data)
    if (!message) return socket.close(1008, 'That is no message of this chat.')
    const { n, type, text } = message
    tally.take(id, n)
    talking.set(id, n)
    const post = { type, name: visitor.name, text, at: Date.now() }
    if (type === 'chat') history.push(post)
    if (history.length > historyLength) history.shift()

    socket.publish('room', JSON.stringify({ from: id, n, ...post }))
    const { missing, repeated, disordered } = tally
    say({ type: 'got', got: n, missing, repeated, disordered })
    if (text === visitor.name) say({ type: 'hello', text: `hello ${visitor.name}`, at: Date.now() })
  })

  socket.on('close', () => {
    talking.delete(id)
    leave(visitor)
  })
  socket.on('error', () => {})
})

function readMessage(data) {
  try {
    const { n, type, text } = JSON.parse(data)
    const ok = Number.isSafeInteger(n) && n > 0 && (type === 'chat' || type === 'test')
    if (ok && typeof text === 'string' && text !== '' && text.length <= maxText) return { n, type, text }
  } catch {}
}

function enter({ id, name }) {
  const person = people.get(id) ?? { name, pages: 0 }
  clearTimeout(person.leaving)
  person.pages++
  if (people.has(id)) return
  people.set(id, person)
  announce({ type: 'joined', name, at: Date.now() })
}

function leave({ id, name }) {
  const person = people.get(id)
  person.pages--
  if (person.pages > 0) return
  // A visitor who only reloads the page is back in a moment.
  person.leaving = setTimeout(() => {
    people.delete(id)
    announce({ type: 'left', name, at: Date.now() })
  }, graceToReload)
}

const heart = setInterval(() => {
  beats++
  announce({ type: 'heartbeat', beats, at: Date.now(), online: people.size })
}, heartbeat)

// Begin and end

let port = Number(process.env.PORT || 3000)
server.on('error', (error) => {
  if (error.code !== 'EADDRINUSE') throw error
  port++
  server.listen(port)
})
server.on('listening', () => console.log(`everwire chat: http://localhost:${server.address().port}`))
server.listen(port)

function stop() {
  clearInterval(heart)
  for (const socket of realtime.clients) socket.close(1001, 'the server is stopping')
  realtime.close()
  server.close(() => process.exit())
  setTimeout(() => process.exit(), 1_000)
}
process.once('SIGINT', stop).once('SIGTERM', stop)
