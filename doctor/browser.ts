/** `everwire/doctor` for browsers and their workers. Uses only globals. */
import { examineWith } from './examine.ts'
import type { Platform, ProbeSocket, SocketEnd } from './platform.ts'
import type { ExamineOptions, Report } from './report.ts'

export { type AnyDiary, formatDiary } from './format-diary.ts'
export { logDiary } from './log-diary.ts'
export type {
  BodyReport,
  Cause,
  ExamineOptions,
  Hindrance,
  Outcome,
  Plan,
  Progress,
  Report,
  ServerReport,
  TransportReport,
} from './report.ts'

const NativeWebSocket = globalThis.WebSocket

const platform: Platform = {
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
  hidden: () => globalThis.document?.hidden ?? false,
  // A browser has six connections to one host, and the page needs some of them.
  lanes: 3,
  ask: (url, { signal, body, accept }) =>
    fetch(url, {
      signal,
      redirect: 'manual',
      cache: 'no-store',
      credentials: 'include',
      ...(body && { method: 'POST', body }),
      ...(accept && { headers: { Accept: accept } }),
    }),
  webSocket(url, protocols) {
    const socket = new NativeWebSocket(url, [...protocols])
    let opened = false
    const probe: ProbeSocket = {
      onopen: undefined,
      onmessage: undefined,
      onend: undefined,
      send: (text) => socket.send(text),
      close: () => socket.close(),
    }
    socket.onopen = () => {
      opened = true
      probe.onopen?.()
    }
    socket.onmessage = ({ data }) => probe.onmessage?.(typeof data === 'string' ? data : '')
    socket.onclose = ({ code, reason }) => {
      const end: SocketEnd = { code, reason }
      const says = 'refused or cut; a browser does not say which'
      probe.onend?.(opened ? end : { ...end, hindrance: { cause: 'hidden', says } })
    }
    return probe
  },
  whyFailed: (error) => ({
    cause: 'hidden',
    says: `the browser says "${(error as Error | undefined)?.message ?? error}" and gives no reason`,
  }),
}

/**
 * Tries every transport in both directions against the everwire server at this address, for a few seconds.
 * Rejects only if the address is invalid or the signal aborts; all network failures are in the report.
 */
export function examine(url: string | URL, options?: ExamineOptions): Promise<Report> {
  return examineWith(platform, url, options)
}
