/** `everwire/doctor` for browsers and their workers. Uses nothing but globals. */
import { examineWith } from './examine.ts'
import type { Platform, ProbeSocket, SocketEnd } from './platform.ts'
import type { ExamineOptions, Report } from './report.ts'

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
  // Six connections to a host are all there are, and the page has its own.
  lanes: 3,
  fetch: (url, init) => fetch(url, { ...init, cache: 'no-store', credentials: 'include' }),
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
 * Tries every transport against the everwire server at this address, both ways, for a few seconds. Rejects only for an address
 * that is none, and when the signal says so; all that the network does is in the report.
 */
export function examine(url: string | URL, options?: ExamineOptions): Promise<Report> {
  return examineWith(platform, url, options)
}
