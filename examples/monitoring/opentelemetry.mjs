// A span of OpenTelemetry for each client, from its beginning to its end, with an event for each carrier. The recipe of
// docs/MONITORING.md: it needs `@opentelemetry/api` and an SDK that exports the spans, and knows nothing of your server.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

/** The ends that nobody wanted. */
const faults = ['lost', 'maxBuffered', 'maxMemory', 'rateLimit', 'fault']

/** Begins to trace all servers of this process. Returns a function that ends it. */
export function traceSessions() {
  const tracer = trace.getTracer('everwire')
  const spans = new WeakMap()

  const listeners = {
    'everwire:session.open': ({ socket, request, plain }) => {
      // The path without its query, in which there may be a secret.
      const [path] = (request.originalUrl ?? request.url).split('?')
      const attributes = { 'url.path': path, 'everwire.session.id': socket.id, 'everwire.plain': plain }
      spans.set(socket, tracer.startSpan('everwire session', { kind: SpanKind.SERVER, attributes }))
    },
    'everwire:carrier.begin': ({ socket, carrier, purpose }) => {
      const { transport, epoch } = carrier
      spans.get(socket)?.addEvent('carrier begins', { transport, epoch, purpose })
    },
    'everwire:carrier.end': ({ socket, carrier }) => {
      const { transport, epoch, by, why } = carrier
      spans.get(socket)?.addEvent('carrier ends', { transport, epoch, by, why })
    },
    'everwire:session.end': ({ socket, cause, code, reason }) => {
      const span = spans.get(socket)
      if (!span) return
      span.setAttributes({ 'everwire.cause': cause, 'everwire.code': code, 'everwire.reason': reason })
      if (faults.includes(cause)) span.setStatus({ code: SpanStatusCode.ERROR, message: cause })
      span.end()
      spans.delete(socket)
    },
  }

  for (const [name, listener] of Object.entries(listeners)) subscribe(name, listener)
  return () => {
    for (const [name, listener] of Object.entries(listeners)) unsubscribe(name, listener)
  }
}
