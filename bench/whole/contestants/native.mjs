// The browser's own WebSocket, before a server of ws.
import { ws } from './ws.mjs'

export const native = {
  name: 'native',
  path: '/',
  serve: ws.serve,
  page: { global: 'WebSocket' },
  connect: (WebSocket, { host, port }, heard) => listen(new WebSocket(`ws://${host}:${port}/`), heard),
}

/** Clients with the interface of the standard: the native one, everwire's and SockJS's. */
export function listen(socket, heard) {
  socket.onopen = heard.opened
  socket.onmessage = ({ data }) => heard.message(data)
  socket.onclose = ({ code, reason }) => heard.closed(`close ${code} ${reason}`)
  return socket
}
