import { type CloseEvent, type Status, WebSocket } from 'everwire/reopen'
import { useEffect, useRef, useState } from 'react'

interface Handlers {
  open?(event: Event, socket: WebSocket): void
  message?(event: MessageEvent, socket: WebSocket): void
  close?(event: CloseEvent, socket: WebSocket): void
}

const shared = new Map<string, { readonly socket: WebSocket; users: number }>()

/** The socket to `url`, one for all components that use it, and its status. Calls the handlers of the latest render. */
export function useSocket(url: string, handlers: Handlers = {}): { socket?: WebSocket; status: Status } {
  const [now, setNow] = useState<ReturnType<typeof useSocket>>({ status: 'connecting' })
  const latest = useRef(handlers)
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    const entry = shared.get(url) ?? { socket: new WebSocket(url), users: 0 }
    const { socket } = entry
    const hear = (event: Event) => latest.current[event.type as keyof Handlers]?.(event as never, socket)
    const statuschange = () => setNow({ socket, status: socket.status })
    const listeners = Object.entries({ open: hear, message: hear, close: hear, statuschange })
    for (const [type, listener] of listeners) socket.addEventListener(type, listener)
    shared.set(url, entry)
    entry.users++
    statuschange()
    return () => {
      for (const [type, listener] of listeners) socket.removeEventListener(type, listener)
      entry.users--
      // Later, because StrictMode unmounts and mounts again in one task; so does a change from page to page.
      setTimeout(() => {
        if (entry.users > 0 || shared.get(url) !== entry) return
        shared.delete(url)
        socket.close()
      })
    }
  }, [url])
  return now
}
