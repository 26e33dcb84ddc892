// A TCP proxy that makes loopback as slow as a network: every byte takes `delay` each way, and a connection is there
// only after one more round trip, as after a TCP handshake. (Connecting to the proxy itself takes no time.)
import { connect, createServer } from 'node:net'

export async function startProxy(target, delay) {
  const sockets = new Set()
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
    const established = performance.now() + 2 * delay
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    forward(near, far, (now) => Math.max(now, established) + delay)
    forward(far, near, (now) => now + delay)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: server.address().port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function forward(from, to, due) {
  const queue = []
  const later = (step) => {
    queue.push({ at: due(performance.now()), step })
    if (queue.length === 1) wait()
  }
  const wait = () => setTimeout(pass, queue[0].at - performance.now())
  const pass = () => {
    while (queue.length > 0 && queue[0].at <= performance.now() + 0.5) queue.shift().step()
    if (queue.length > 0) wait()
  }
  from.on('data', (chunk) => later(() => to.write(chunk)))
  from.on('end', () => later(() => to.end()))
  from.on('close', () => later(() => to.destroy()))
}
