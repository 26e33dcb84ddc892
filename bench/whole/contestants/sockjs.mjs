import { listen } from './native.mjs'

export const sockjs = {
  name: 'sockjs',
  path: '/sockjs',

  async serve(server, application) {
    const { default: library } = await import('sockjs')
    const service = library.createServer({ prefix: '/sockjs', log() {} })
    const connections = new Set()
    service.on('connection', (connection) => {
      connections.add(connection)
      const receive = application.opened((data) => connection.write(data), connection)
      connection.on('data', receive)
      connection.on('close', () => {
        connections.delete(connection)
        application.closed()
      })
    })
    service.installHandlers(server)
    return {
      broadcast(text) {
        for (const connection of connections) connection.write(text)
      },
    }
  },

  client: async () => (await import('sockjs-client')).default,
  page: { script: 'sockjs-client/dist/sockjs.min.js', global: 'SockJS' },

  connect(SockJS, { host, port, secure, transport }, heard) {
    const url = `${secure ? 'https' : 'http'}://${host}:${port}/sockjs`
    return listen(new SockJS(url, undefined, transport && { transports: [transport] }), heard)
  },
}
