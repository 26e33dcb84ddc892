// A server with metrics for Prometheus at /metrics. The recipe of docs/MONITORING.md.
import { registerMetrics } from 'everwire/prometheus'
import { WebSocketServer } from 'everwire/server'
import express from 'express'
import { collectDefaultMetrics, register } from 'prom-client'

const app = express()
const realtime = new WebSocketServer({ noServer: true })
app.use('/realtime', realtime.middleware)
realtime.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

registerMetrics(realtime)
// CPU, heap and event loop of the process: the dashboard does not need them, but you will.
collectDefaultMetrics()

// Not for everybody: let only your Prometheus reach it.
app.get('/metrics', async (_request, response) => {
  response.type(register.contentType).send(await register.metrics())
})

const server = app.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`http://localhost:${server.address().port}/`)
})
