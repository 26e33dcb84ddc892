export const engineIo = {
  name: 'engine.io',
  path: '/engine.io',

  async serve(server, application, { deflate }) {
    const { attach } = await import('engine.io')
    const engine = attach(server, { perMessageDeflate: deflate, cors: { origin: '*' } })
    engine.on('connection', (socket) => {
      const receive = application.opened((data) => socket.send(data), socket)
      socket.on('message', receive)
      socket.on('close', application.closed)
    })
    return {
      broadcast(text) {
        for (const id in engine.clients) engine.clients[id].send(text)
      },
    }
  },

  client: async () => {
    const { Socket } = await import('engine.io-client')
    return { Socket, agents: await keptAlive() }
  },

  connect({ Socket, agents }, { host, port, secure, transport, deflate }, heard) {
    const socket = new Socket(`${secure ? 'https' : 'http'}://${host}:${port}`, {
      ...(transport && { transports: [transport] }),
      ...(transport === 'websocket' ? {} : { agent: secure ? agents.https : agents.http }),
      // Its default, true, counts more than the environment.
      ...(secure && { rejectUnauthorized: false }),
      perMessageDeflate: deflate ? { threshold: 1024 } : false,
    })
    socket.on('open', heard.opened)
    socket.on('message', heard.message)
    socket.on('close', heard.closed)
    return socket
  },
}

/** Agents that keep connections, as a browser does by itself: without one, each request would make a connection. */
export async function keptAlive() {
  const [http, https] = await Promise.all([import('node:http'), import('node:https')])
  return { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) }
}
