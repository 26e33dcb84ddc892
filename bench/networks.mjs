// The peers, as their users set them up, for `npm run networks`: each with a server and a client that tell a Talk of
// test/networks/talk.ts what their application sees. None of them is asked for more than its documentation offers.
import { createServer } from 'node:http'
import { ws } from './peers.mjs'

/** Of reconnecting-websocket: a pause that grows, a time to connect, and what is sent meanwhile is kept. */
const firstPause = 1000
const longestPause = 10_000
const connectTimeout = 4000

/** `localClient` is that of test/networks/contestant.ts. */
export async function contestants(localClient) {
  // Before anybody looks at a clock.
  const [{ Server }, { io }, { default: sockjs }, { default: SockJS }] = await Promise.all(
    ['socket.io', 'socket.io-client', 'sockjs', 'sockjs-client'].map((name) => import(name)),
  )
  const make = (name, textOnly, serve, begin) => ({
    name,
    textOnly,
    async serve(talk) {
      const server = createServer()
      const stop = serve(server, talk)
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
      return {
        port: server.address().port,
        async stop() {
          stop()
          server.closeAllConnections()
          await new Promise((resolve) => server.close(resolve))
        },
      }
    },
    connect: (port, options) => localClient(options, (talk) => begin(port, talk)),
  })
  return [
    make('socket.io', false, serveSocketIo(Server), connectSocketIo(io)),
    make(
      'sockjs',
      true,
      serveSockJs(sockjs),
      reconnecting((port) => new SockJS(`http://127.0.0.1:${port}/sockjs`)),
    ),
    make('ws, reconnecting', false, serveWs, reconnecting(openWs)),
  ]
}

const serveSocketIo = (Server) => (server, talk) => {
  const io = new Server(server, { serveClient: false, connectionStateRecovery: {}, maxHttpBufferSize: 1e8 })
  io.on('connection', (socket) => {
    const say = said((data) => socket.emit('m', data))
    if (socket.recovered) talk.resumed(say)
    else talk.opened(say)
    socket.on('m', (data) => talk.message(data))
    socket.on('disconnect', (reason) => {
      talk.gone(`disconnect: ${reason}`)
      // With recovery on, what is sent to a socket that has gone is kept for it.
      talk.resumed(say)
    })
  })
  return () => io.close()
}

const connectSocketIo = (io) => (port, talk) => {
  const options = { forceNew: true, transports: ['websocket', 'polling'], tryAllTransports: true }
  const socket = io(`http://127.0.0.1:${port}`, options)
  const say = said((data) => socket.emit('m', data))
  let opened = false
  socket.on('connect', () => {
    talk.transport(socket.io.engine.transport.name)
    if (opened && socket.recovered) talk.resumed(say)
    else talk.opened(say)
    opened = true
  })
  socket.on('m', (data) => talk.message(data instanceof ArrayBuffer ? new Uint8Array(data) : data))
  socket.on('disconnect', (reason) => {
    talk.gone(`disconnect: ${reason}`)
    // What is emitted now goes out once it is connected again.
    talk.resumed(say)
  })
  socket.on('connect_error', ({ message }) => talk.visible(`connect_error: ${message}`))
  return () => socket.disconnect()
}

const serveSockJs = (sockjs) => (server, talk) => {
  const service = sockjs.createServer({ prefix: '/sockjs', log() {} })
  let current
  service.on('connection', (connection) => {
    current = connection
    talk.opened((data) => connection.write(data))
    connection.on('data', (data) => talk.message(data))
    connection.on('close', () => (connection === current ? talk.gone('close') : talk.visible('close')))
  })
  service.installHandlers(server)
  return () => {}
}

function serveWs(server, talk) {
  const wss = new ws.WebSocketServer({ server })
  let current
  wss.on('connection', (socket) => {
    current = socket
    talk.opened((data) => {
      if (socket.readyState === ws.OPEN) socket.send(data)
      return socket.readyState === ws.OPEN
    })
    socket.on('message', (data, isBinary) => talk.message(isBinary ? data : String(data)))
    socket.on('error', ({ message }) => talk.visible(`error: ${message}`))
    socket.on('close', (code) =>
      socket === current ? talk.gone(`close ${code}`) : talk.visible(`close ${code}`),
    )
  })
  return () => {
    for (const socket of wss.clients) socket.terminate()
  }
}

function openWs(port) {
  const socket = new ws.WebSocket(`ws://127.0.0.1:${port}/`)
  socket.binaryType = 'arraybuffer'
  return socket
}

/** A socket of the standard, made anew whenever it is lost. */
function reconnecting(open) {
  return (port, talk) => {
    const waiting = []
    let socket
    let pause = firstPause
    let timer
    let ended = false
    const say = (data) => {
      if (socket.readyState === 1) socket.send(data)
      else waiting.push(data)
      return true
    }
    const begin = () => {
      const mine = open(port)
      socket = mine
      timer = setTimeout(() => mine.close(), connectTimeout)
      mine.onopen = () => {
        clearTimeout(timer)
        pause = firstPause
        talk.transport(mine.transport ?? 'websocket')
        talk.opened(say)
        for (const data of waiting.splice(0)) mine.send(data)
      }
      mine.onmessage = ({ data }) => talk.message(data instanceof ArrayBuffer ? new Uint8Array(data) : data)
      mine.onerror = () => {}
      mine.onclose = ({ code, reason }) => {
        clearTimeout(timer)
        if (ended) talk.gone('close')
        else {
          talk.visible(`close ${code} ${reason}`)
          timer = setTimeout(begin, pause)
          pause = Math.min(pause * 1.3, longestPause)
        }
      }
    }
    begin()
    return () => {
      ended = true
      clearTimeout(timer)
      socket.close()
    }
  }
}

/** As far as the application can tell, it always works. */
function said(say) {
  return (data) => {
    say(data)
    return true
  }
}
