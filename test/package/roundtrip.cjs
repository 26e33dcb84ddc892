// One message there and back with the installed package, over a network that lets no WebSocket through. Afterwards the process must end by itself.
const assert = require('node:assert/strict')
const { once } = require('node:events')

module.exports = async function roundtrip({ WebSocket, WebSocketServer, hostileNetwork }) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  await once(server, 'listening')
  const network = await hostileNetwork(server.address().port, { upgrade: 403 })
  const socket = new WebSocket(`ws://127.0.0.1:${network.port}`)
  const next = (type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }))
  await next('open')
  socket.send('there and back')
  const message = await next('message')
  assert.equal(message.data, 'there and back')
  assert.equal(socket.transport, 'stream')
  socket.close(4001, 'done')
  const closed = await next('close')
  assert.deepEqual([closed.code, closed.reason, closed.wasClean], [4001, 'done', true])
  await network.close()
  server.close()
}
