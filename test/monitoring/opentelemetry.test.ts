// The recipe for OpenTelemetry, with the real API: its spans go to a provider that keeps them.
import {
  type Attributes,
  INVALID_SPAN_CONTEXT,
  type Span,
  type SpanStatus,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { traceSessions } from '../../examples/monitoring/opentelemetry.mjs'
import { connectPeer, peerKinds } from '../support/peers.ts'
import { RawClient } from '../support/raw-client.ts'
import { closeOf, serve } from '../support/serving.ts'

/** What became of a span. */
class Kept {
  readonly name: string
  readonly attributes: Attributes = {}
  readonly events: string[] = []
  status: SpanStatus = { code: SpanStatusCode.UNSET }
  ended = false

  constructor(name: string) {
    this.name = name
  }

  /** The span that the recipe sees. */
  get span(): Span {
    const span: Span = {
      spanContext: () => INVALID_SPAN_CONTEXT,
      setAttribute: (key, value) => span.setAttributes({ [key]: value }),
      setAttributes: (attributes) => {
        Object.assign(this.attributes, attributes)
        return span
      },
      addEvent: (name, attributes) => {
        this.events.push([name, ...Object.values((attributes ?? {}) as Attributes)].join(' '))
        return span
      },
      addLink: () => span,
      addLinks: () => span,
      setStatus: (status) => {
        this.status = status
        return span
      },
      updateName: () => span,
      end: () => {
        this.ended = true
      },
      isRecording: () => !this.ended,
      recordException: () => {},
    }
    return span
  }
}

let kept: Kept[]

beforeEach(() => {
  kept = []
  const startSpan = (name: string, { attributes = {} }: { attributes?: Attributes } = {}): Span => {
    const span = new Kept(name)
    Object.assign(span.attributes, attributes)
    kept.push(span)
    return span.span
  }
  trace.setGlobalTracerProvider({
    getTracer: () => ({ startSpan, startActiveSpan: () => expect.fail('not used') }),
  })
})

afterEach(() => trace.disable())

test.each(peerKinds)('a span for a client over %s', async (kind) => {
  onTestFinished(traceSessions())
  const serving = await serve()
  const { socket } = await connectPeer(serving, kind)
  const plain = kind === 'plain'
  expect(kept).toMatchObject([
    {
      name: 'everwire session',
      attributes: { 'url.path': '/realtime', 'everwire.session.id': socket.id, 'everwire.plain': plain },
      events: plain ? [] : [`carrier begins ${kind} 1 open`],
      ended: false,
    },
  ])
  const gone = closeOf(socket)
  socket.close(4000, 'enough')
  await gone
  expect(kept).toMatchObject([
    {
      attributes: { 'everwire.cause': 'server', 'everwire.code': 4000, 'everwire.reason': 'enough' },
      status: { code: SpanStatusCode.UNSET },
      ended: true,
    },
  ])
})

test('a client that is lost, after it moved: an error, with its carriers', async () => {
  const stop = traceSessions()
  const { url, connections } = await serve({ patience: 50 })
  const client = new RawClient(`${url}?token=secret`)
  await client.openWebSocket()
  const { socket } = await connections.next()
  const gone = closeOf(socket)
  client.renew()
  await (await client.stream()).cut()
  await gone
  const [span] = kept as [Kept]
  expect(span.events).toEqual([
    'carrier begins websocket 1 open',
    'carrier ends websocket 1 client another was taken',
    'carrier begins stream 2 move',
    'carrier ends stream 2 network answer cut',
  ])
  expect(span).toMatchObject({ status: { code: SpanStatusCode.ERROR, message: 'lost' }, ended: true })
  expect(JSON.stringify(span)).not.toContain('secret')

  stop()
  await new RawClient(url).openWebSocket()
  await connections.next()
  expect(kept.length).toBe(1)
})
