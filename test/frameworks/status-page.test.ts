// The status page in each framework, by the same means as a middleware of docs/FRAMEWORKS.md: the guard before it guards all of it.
import { createServer, type Server } from 'node:http'
import { serve } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import express from 'express'
import express4 from 'express4'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { fetchAll, listen } from '../support/http.ts'
import { refused } from '../support/plain-client.ts'
import { marked, RawClient } from '../support/raw-client.ts'
import { end } from '../support/serving.ts'
import { watchStatus } from '../support/status.ts'

beforeAll(ensureBuilt)

const admin = { Authorization: 'admin' }
const mayPass = ({ authorization }: { authorization?: string | undefined }) => authorization === 'admin'

type Start = (page: WebSocketServer['statusPage']) => Promise<Server>

function inExpress(framework: typeof express): Start {
  return async (page) => {
    const app = framework()
    const guard: express.RequestHandler = (request, response, next) => {
      if (mayPass(request.headers)) next()
      else response.status(401).end()
    }
    app.use('/status', guard, page)
    return createServer(app)
  }
}

const frameworks: Readonly<Record<string, Start>> = {
  http: async (page) =>
    createServer((request, response) => {
      if (!request.url?.startsWith('/status')) response.writeHead(404).end()
      else if (mayPass(request.headers)) page(request, response)
      else response.writeHead(401).end()
    }),
  'Express 5': inExpress(express),
  'Express 4': inExpress(express4 as unknown as typeof express),
  Koa: async (page) => {
    const app = new Koa()
    app.use((ctx, next) => {
      if (!mayPass(ctx.req.headers)) ctx.throw(401)
      return next()
    })
    app.use((ctx, next) => {
      if (!ctx.path.startsWith('/status')) return next()
      ctx.respond = false
      page(ctx.req, ctx.res)
      return undefined
    })
    return createServer(app.callback())
  },
  Fastify: async (page) => {
    const app = Fastify()
    app.addHook('onRequest', async (request, reply) => {
      if (!mayPass(request.headers)) await reply.code(401).send()
    })
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const handler = (request: FastifyRequest, reply: FastifyReply): void => {
      reply.hijack()
      page(request.raw, reply.raw)
    }
    app.all('/status', handler)
    app.get('/status/*', handler)
    onTestFinished(() => app.close())
    await app.ready()
    return app.server
  },
  Hono: async (page) => {
    const app = new Hono<{ Bindings: { incoming: never; outgoing: never } }>()
    app.use(
      (c, next) =>
        (mayPass({ authorization: c.req.header('authorization') }) ? next() : c.text('', 401)) as never,
    )
    app.all('/status/*', (c) => {
      page(c.env.incoming, c.env.outgoing)
      return RESPONSE_ALREADY_SENT
    })
    return serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  },
}

test.each(Object.entries(frameworks))('%s', async (_name, start) => {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const status = `http://127.0.0.1:${await listen(await start(realtime.statusPage))}/status`
  const types = ['text/html', 'text/css', 'text/javascript', 'text/javascript']
  for (const [index, file] of ['', '/status.css', '/status.js', '/everwire.js'].entries()) {
    expect((await fetchAll(status + file)).status).toBe(401)
    const { status: code, headers } = await fetchAll(status + file, { headers: admin })
    expect([code, headers['content-type']]).toEqual([200, `${types[index]}; charset=utf-8`])
  }
  expect((await refused(status)).status).toBe(401)
  expect((await new RawClient(status).open()).status).toBe(401)
  expect((await fetchAll(marked(status, 'ticket'))).status).toBe(401)
  for (const transport of ['websocket', 'stream', 'sse', 'polling'] as const) {
    const page = watchStatus(status, { transports: [transport], headers: admin })
    expect((await page.told.next()).type).toBe('all')
    page.socket.close()
    await page.closed
  }
})
