/** everwire's client as one end of a conversation, in Node and in pages. */
import type { WebSocket } from '../../client/socket/websocket-class.ts'
import type { Talk } from './talk.ts'

/** Where the server listens, and what the client closes with, to be found at the server. */
export const path = '/realtime'
export const lastWords: { readonly code: number; readonly reason: string } = { code: 4321, reason: 'enough' }

export function follow(socket: WebSocket, talk: Talk): void {
  socket.binaryType = 'arraybuffer'
  talk.diary = () => socket.diary
  socket.onopen = () => {
    talk.transport(socket.transport)
    talk.opened((data) => {
      if (socket.readyState === 1) socket.send(data as string | Uint8Array<ArrayBuffer>)
      return socket.readyState === 1
    })
  }
  socket.ontransportchange = () => talk.transport(socket.transport)
  socket.onmessage = ({ data }) => talk.message(typeof data === 'string' ? data : new Uint8Array(data))
  socket.onerror = () => talk.visible('error')
  socket.onclose = ({ code, reason }) => talk.gone(`close ${code} ${reason}`.trim())
}
