// A server that a process manager may stop at any time: on SIGTERM it ends its sessions in order and then itself.
// `npm start` starts the chat; this file is the recipe of docs/DEPLOYING.md.

import { WebSocketServer } from 'everwire/server'
import express from 'express'

const app = express()
const realtime = new WebSocketServer({ noServer: true })
app.use('/realtime', realtime.middleware)
app.get('/ready', (_request, response) => {
  response.status(realtime.ready ? 200 : 503).send(realtime.ready ? 'ready' : 'closing')
})
realtime.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
const server = app.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`http://localhost:${server.address().port}/`)
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    // Sessions are told 1012 and end; those left after 10 s are cut.
    await realtime.close({ code: 1012, within: Number(process.env.WITHIN ?? 10_000) })
    server.close()
  })
}
