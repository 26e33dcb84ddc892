export const ws = {
  name: 'ws',
  path: '/',

  async serve(server, application, { deflate }) {
    const { WebSocketServer } = (await import('../../peers.mjs')).ws
    const wss = new WebSocketServer({ server, perMessageDeflate: deflate })
    wss.on('connection', (socket) => {
      const receive = application.opened((data) => socket.send(data, { binary: false }), socket)
      socket.on('message', receive)
      socket.on('close', application.closed)
    })
    return {
      /** As the documentation of ws says. */
      broadcast(text) {
        for (const client of wss.clients) client.send(text)
      },
    }
  },

  client: async () => (await import('../../peers.mjs')).ws.WebSocket,

  connect(WebSocket, { host, port, secure, deflate }, heard) {
    const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://${host}:${port}/`, {
      perMessageDeflate: deflate,
    })
    let why = ''
    socket.on('open', heard.opened)
    socket.on('message', (data) => heard.message(String(data)))
    socket.on('error', ({ message }) => {
      why = message
    })
    socket.on('close', (code) => heard.closed(why || `close ${code}`))
    return socket
  },
}
