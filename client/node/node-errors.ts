/** Error messages in the words of `ws`. */
export const wasClosed = 'WebSocket was closed before the connection was established'
export const blobUnread = 'The socket was closed while the blob was being read'

const states = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const

export function notOpen(state: 0 | 1 | 2 | 3): string {
  return `WebSocket is not open: readyState ${state} (${states[state]})`
}

/** Throws an exception of the application's own later, where it stops nothing of ours. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
