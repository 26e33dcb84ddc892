// The servers of HTTP/2 that everwire runs on, each as docs/FRAMEWORKS.md says: with and without a framework.
import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { onTestFinished } from 'vitest'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { end } from './serving.ts'
import { selfSigned } from './tls.ts'

export interface Http2Site {
  readonly realtime: WebSocketServer
  readonly http: Http2Server | Http2SecureServer
  readonly url: string
}

interface SiteOptions {
  /** With TLS it speaks HTTP/1.1, too. */
  readonly secure?: boolean
  readonly settings?: Settings
}

type Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void
type Made = Http2Server | Http2SecureServer

/** What answers all but sessions, for a page to be in. */
const page = '<!doctype html><title>A page</title>'
const asHtml = 'text/html'

function made({ secure = false, settings = {} }: SiteOptions, listener: Listener): Made {
  return secure
    ? createSecureServer({ ...selfSigned(), allowHTTP1: true, settings }, listener)
    : createServer({ settings }, listener)
}

async function fastify(
  { secure = false, settings = {} }: SiteOptions,
  realtime: WebSocketServer,
): Promise<Made> {
  // Its types know no settings of HTTP/2 without TLS, and one kind of server at a time.
  const how = secure
    ? { http2: true, https: { ...selfSigned(), allowHTTP1: true, settings } }
    : { http2: true, settings }
  const app = Fastify(how as { http2: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request: unknown, _payload: unknown, done: (error: null) => void) =>
    done(null),
  )
  app.get('/page', (_request, reply) => void reply.type(asHtml).send(page))
  app.all('/*', (request, reply) => {
    reply.hijack()
    realtime.middleware(request.raw, reply.raw)
  })
  await app.ready()
  return app.server
}

/** Each makes a server that gives all paths but one to everwire. */
const kinds: Record<string, (options: SiteOptions, realtime: WebSocketServer) => Made | Promise<Made>> = {
  'node:http2': (options, { middleware }) =>
    made(options, (request, response) => {
      if (request.url === '/page') response.writeHead(200, { 'Content-Type': asHtml }).end(page)
      else middleware(request, response)
    }),
  Koa: (options, realtime) => {
    const app = new Koa()
    app.silent = true
    app.use((context) => {
      if (context.path === '/page') {
        context.body = page
        return
      }
      context.respond = false
      realtime.middleware(context.req, context.res)
    })
    return made(options, app.callback() as unknown as Listener)
  },
  Fastify: fastify,
  Hono: ({ secure = false, settings = {} }, realtime) => {
    const app = new Hono<{ Bindings: { incoming: Http2ServerRequest; outgoing: Http2ServerResponse } }>()
    app.get('/page', (c) => c.html(page))
    app.all('/*', (c) => {
      realtime.middleware(c.env.incoming, c.env.outgoing)
      return RESPONSE_ALREADY_SENT
    })
    const serverOptions = secure ? { ...selfSigned(), allowHTTP1: true, settings } : { settings }
    const createSite = (secure ? createSecureServer : createServer) as typeof createSecureServer
    return createAdaptorServer({
      fetch: app.fetch,
      autoCleanupIncoming: false,
      createServer: createSite,
      serverOptions,
    }) as Made
  },
}

/** `server`: node:http2 with the option of this name. */
export const http2Servers: readonly string[] = [...Object.keys(kinds), 'the option server']

export async function http2Site(
  name: string,
  options: ServerOptions,
  how: SiteOptions = {},
): Promise<Http2Site> {
  const kind = kinds[name]
  let site: Omit<Http2Site, 'url'>
  if (kind) {
    const realtime = new WebSocketServer({ noServer: true, ...options })
    site = { realtime, http: await kind(how, realtime) }
  } else {
    const http = made(
      how,
      (_request, response) => void response.writeHead(200, { 'Content-Type': asHtml }).end(page),
    )
    site = { realtime: new WebSocketServer({ server: http, ...options }), http }
  }
  const { http, realtime } = site
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  onTestFinished(() => void http.close())
  onTestFinished(() => end(realtime))
  return { ...site, url: `http${how.secure ? 's' : ''}://127.0.0.1:${(http.address() as AddressInfo).port}` }
}
