// Ports of this machine.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** A port at which nobody listens, for now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Whether somebody listens at the port. */
export function isOpen(port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Resolves when somebody listens at the port. */
export async function answers(port) {
  while (!(await isOpen(port))) await new Promise((resolve) => setTimeout(resolve, 20))
}
