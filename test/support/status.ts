// The socket of a status page, as a test has it: what the page would show.
import { onTestFinished } from 'vitest'
import { WebSocket, type WebSocketOptions } from '../../client/node.ts'
import type { ServerStats } from '../../server/index.ts'
import type { Sample } from '../../server/status/history.ts'
import type { EndedEntry, TroubledEntry } from '../../server/status/journal.ts'
import { Queue } from './queue.ts'

export interface Told {
  readonly type: 'all' | 'now'
  readonly at: number
  readonly pid?: number
  readonly stats: ServerStats
  readonly samples?: readonly Sample[]
  readonly sample?: Sample
  readonly ended: readonly EndedEntry[]
  readonly troubled: readonly TroubledEntry[]
}

export interface StatusClient {
  readonly socket: WebSocket
  /** Each message as it came. */
  readonly texts: string[]
  readonly told: Queue<Told>
  /** The first message from now on of which it is true. */
  until(holds: (told: Told) => boolean): Promise<Told>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

/** `url`: the address of the page. */
export function watchStatus(url: string, options: WebSocketOptions & object = {}): StatusClient {
  const socket = new WebSocket(`${url}?everwire-status`, [], { remember: false, ...options })
  const texts: string[] = []
  const told = new Queue<Told>()
  socket.onmessage = ({ data }) => {
    texts.push(String(data))
    told.push(JSON.parse(String(data)) as Told)
  }
  socket.onerror = () => {}
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason })
  })
  onTestFinished(() => socket.close())
  const until = async (holds: (one: Told) => boolean): Promise<Told> => {
    for (;;) {
      const one = await told.next()
      if (holds(one)) return one
    }
  }
  return { socket, texts, told, until, closed }
}
