// Two workers of node:cluster without sticky sessions: each request may reach either.
import cluster from 'node:cluster'
import { WebSocketServer } from 'everwire/server'

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork()
  let ready = 0
  cluster.on('listening', (_worker, { port }) => {
    if (++ready === 2) console.log(`http://127.0.0.1:${port}/ `)
  })
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill()
    process.exit()
  })
} else new WebSocketServer({ port: 0, host: '127.0.0.1', origins: 'same' })
