// Two workers of node:cluster, each of which listens for the other servers of a cluster: says where they do.
import cluster from 'node:cluster'
import { Listener } from '../../dist/cluster/passing/listener.js'

if (cluster.isPrimary) {
  cluster.on('exit', (_worker, code) => {
    if (code > 0) process.exit(1)
  })
  const addresses = []
  for (let count = 0; count < 2; count++)
    cluster.fork().once('message', (address) => {
      if (addresses.push(address) < 2) return
      process.send(addresses)
      process.disconnect()
      cluster.disconnect()
    })
} else {
  process.once('disconnect', () => process.exit())
  const listener = new Listener({ name: '', secret: () => '', request() {}, upgrade() {} })
  process.send(await listener.listen({ host: '127.0.0.1' }))
}
