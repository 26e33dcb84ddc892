import { type CloseEvent, type Status, WebSocket } from 'everwire/reopen'
import { onMounted, onUnmounted, type Ref, ref, type ShallowRef, shallowRef } from 'vue'

interface Handlers {
  open?(event: Event, socket: WebSocket): void
  message?(event: MessageEvent, socket: WebSocket): void
  close?(event: CloseEvent, socket: WebSocket): void
}

const shared = new Map<string, { readonly socket: WebSocket; users: number }>()

/** The socket to `url`, one for all components that use it, and its status. */
export function useSocket(url: string, handlers: Handlers = {}) {
  const socket: ShallowRef<WebSocket | undefined> = shallowRef() // not ref(): a proxy has no private members
  const status: Ref<Status> = ref('connecting')
  let release = () => {}
  onMounted(() => {
    const entry = shared.get(url) ?? { socket: new WebSocket(url), users: 0 }
    const hear = (event: Event) => handlers[event.type as keyof Handlers]?.(event as never, entry.socket)
    const statuschange = () => {
      status.value = entry.socket.status
    }
    const listeners = Object.entries({ open: hear, message: hear, close: hear, statuschange })
    for (const [type, listener] of listeners) entry.socket.addEventListener(type, listener)
    shared.set(url, entry)
    entry.users++
    socket.value = entry.socket
    statuschange()
    release = () => {
      for (const [type, listener] of listeners) entry.socket.removeEventListener(type, listener)
      entry.users--
      // Later, because a change from page to page unmounts and mounts in one task.
      setTimeout(() => {
        if (entry.users > 0 || shared.get(url) !== entry) return
        shared.delete(url)
        entry.socket.close()
      })
    }
  })
  onUnmounted(() => release())
  return { socket, status }
}
