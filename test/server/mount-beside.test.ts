// Other WebSocket servers on the same HTTP server: whoever comes first, each gets its own and nobody's else.
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect } from 'node:net'
import express from 'express'
import express4 from 'express4'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer as Foreign } from 'ws'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask, probeMark } from '../../shared/exchange.ts'
import { fetchAll, handshake, listen, talk } from '../support/http.ts'
import { ask, plain, refused } from '../support/plain-client.ts'
import { marked, RawClient } from '../support/raw-client.ts'
import { end } from '../support/serving.ts'

type App = ReturnType<typeof express>
const frameworks: [string, () => App][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as () => App],
]

function ours(options?: ServerOptions): WebSocketServer {
  const realtime = new WebSocketServer(options)
  realtime.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(`ours: ${data}`))
  })
  onTestFinished(() => end(realtime))
  return realtime
}

function theirs(server: Server, path: string): void {
  const foreign = new Foreign({ server, path })
  foreign.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(`theirs: ${data}`))
  })
}

/** As Vite, Socket.IO and others do it: only their own, and what nobody takes is killed. */
function killer(server: Server): void {
  const foreign = new Foreign({ noServer: true })
  foreign.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(`theirs: ${data}`))
  })
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/other') {
      foreign.handleUpgrade(request, socket, head, (client) => foreign.emit('connection', client, request))
    } else socket.destroy()
  })
}

async function check(url: string, who: 'ours' | 'theirs', headers = {}): Promise<void> {
  expect(await ask(await plain(url, [], { headers }), 'x')).toBe(`${who}: x`)
}

const orders = [
  ['ours first of all', ['ours', 'theirs']],
  ['theirs first of all', ['theirs', 'ours']],
] as const

describe.each(frameworks)('%s', (_name, framework) => {
  const mounted = (prefix = '/realtime', options?: ServerOptions): App => {
    const app = framework()
    app.use(prefix, ours(options).middleware)
    return app
  }

  describe.each(orders)('%s', (_order, order) => {
    const both = async (port: number, path = '/realtime'): Promise<void> => {
      for (const who of [...order, ...order]) {
        await check(`http://127.0.0.1:${port}${who === 'ours' ? path : '/other'}`, who)
      }
    }

    test('beside a server of ws that came before', async () => {
      const app = framework()
      const server = createServer(app)
      theirs(server, '/other')
      app.use('/realtime', ours().middleware)
      await both(await listen(server))
    })

    test('beside a server of ws that came after', async () => {
      const server = createServer(mounted())
      const port = await listen(server)
      theirs(server, '/other')
      await both(port)
    })

    test('beside one that kills what it does not know', async () => {
      const server = createServer(mounted())
      killer(server)
      await both(await listen(server))
    })

    test('in a sub-application', async () => {
      const app = framework()
      const sub = framework()
      app.use('/a', sub)
      sub.use('/b', ours().middleware)
      const server = createServer(app)
      killer(server)
      await both(await listen(server), '/a/b')
    })

    test('in a sub-application that is mounted later', async () => {
      const app = framework()
      const sub = framework()
      sub.use('/b', ours().middleware)
      app.use('/a', sub)
      const server = createServer(app)
      killer(server)
      await both(await listen(server), '/a/b')
    })

    test('with the option path', async () => {
      const app = framework()
      app.use(ours({ path: '/realtime' }).middleware)
      const server = createServer(app)
      killer(server)
      await both(await listen(server))
    })

    test('with the option server', async () => {
      const server = createServer(framework())
      killer(server)
      ours({ server, path: '/realtime' })
      await both(await listen(server))
    })
  })

  test('a handshake that the application refuses ends its connection, although the client keeps its side open', async () => {
    const app = framework()
    app.use('/realtime', (_request, response) => void response.status(401).end())
    app.use('/realtime', ours().middleware)
    const server = createServer(app as RequestListener)
    theirs(server, '/theirs')
    const port = await listen(server)
    const connection = once(server, 'connection')
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void client.destroy())
    const [socket] = await connection
    const closed = once(socket, 'close')
    client.write(
      'GET /realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    const [answer] = await once(client, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /)
    await closed
  })

  test('in a router, once a request has shown where that is', async () => {
    const app = framework()
    const router = express.Router()
    router.use('/b', ours().middleware)
    app.use('/a', router)
    const server = createServer(app)
    killer(server)
    const url = `http://127.0.0.1:${await listen(server)}`
    await new RawClient(`${url}/a/b`).open()
    await check(`${url}/a/b`, 'ours')
    await check(`${url}/other`, 'theirs')
  })

  test('what the middleware refuses is refused, and what is beside is none of its business', async () => {
    const app = framework()
    app.use((request, response, next) => {
      if (request.headers.authorization) next()
      else response.status(401).send('who are you?')
    })
    app.use('/realtime', ours().middleware)
    const server = createServer(app)
    theirs(server, '/other')
    const url = `http://127.0.0.1:${await listen(server)}`
    const answer = await refused(`${url}/realtime`)
    expect([answer.status, answer.body.toString()]).toEqual([401, 'who are you?'])
    await check(`${url}/realtime`, 'ours', { Authorization: 'yes' })
    await check(`${url}/other`, 'theirs')
  })

  test('the connection of a refused upgrade is closed, and not used for another request', async () => {
    const app = framework()
    app.use('/realtime', ours().middleware)
    app.use((_request, response) => void response.status(403).send('no'))
    const server = createServer(app)
    killer(server)
    const port = await listen(server)
    await check(`http://127.0.0.1:${port}/realtime`, 'ours')
    const answer = await talk(
      port,
      `${handshake('/realtime', { Upgrade: 'tea' })}GET /second HTTP/1.1\r\nHost: x\r\n\r\n`,
    )
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })

  test('a mount whose server was closed leaves the others alone', async () => {
    const app = framework()
    const realtime = ours()
    app.use('/realtime', realtime.middleware)
    const server = createServer(app)
    theirs(server, '/other')
    const url = `http://127.0.0.1:${await listen(server)}`
    await check(`${url}/realtime`, 'ours')
    await end(realtime)
    await check(`${url}/other`, 'theirs')
  })
})

test('two HTTP servers in one process, of which one has the mount', async () => {
  const app = express()
  app.use('/realtime', ours().middleware)
  const withMount = createServer(app)
  const without = createServer(express())
  for (const server of [withMount, without]) theirs(server, '/other')
  const urls = [`http://127.0.0.1:${await listen(without)}`, `http://127.0.0.1:${await listen(withMount)}`]
  expect((await refused(`${urls[0]}/realtime`)).status).toBe(400)
  await check(`${urls[1]}/realtime`, 'ours')
  expect((await refused(`${urls[0]}/realtime`)).status).toBe(400)
  expect((await fetchAll(marked(`${urls[0]}/realtime`), { method: 'POST' })).status).toBe(404)
  for (const url of urls) await check(`${url}/other`, 'theirs')
})

test('one application on two HTTP servers', async () => {
  const app = express()
  app.use('/realtime', ours().middleware)
  for (const server of [createServer(app), createServer(app)]) {
    killer(server)
    await check(`http://127.0.0.1:${await listen(server)}/realtime`, 'ours')
  }
})

test('two of ours with the option server beside a foreign one', async () => {
  const server = createServer()
  killer(server)
  ours({ server, path: '/one' })
  ours({ server, path: '/two' })
  const url = `http://127.0.0.1:${await listen(server)}`
  await check(`${url}/two`, 'ours')
  await check(`${url}/other`, 'theirs')
  await check(`${url}/one`, 'ours')
})

describe('a stranger cannot move the upgrades of others', () => {
  /** Everything that is not answered elsewhere goes through the middleware. */
  async function atTheRoot(options: ServerOptions = {}): Promise<string> {
    const realtime = ours(options)
    const server = createServer((request, response) =>
      realtime.middleware(request, response, () => response.writeHead(404).end()),
    )
    killer(server)
    return `http://127.0.0.1:${await listen(server)}`
  }

  const attempts: [string, (url: string) => Promise<unknown>][] = [
    ['a mark', (url) => fetchAll(marked(url, 'x'))],
    ['a mark without a body', (url) => fetchAll(marked(url), { method: 'POST' })],
    ['a body that is no exchange', (url) => new RawClient(url).post(Buffer.from([0xe1, 1, 2, 3]))],
    ['a session that nobody knows', (url) => new RawClient(url).send()],
    ['an invented ticket', (url) => fetchAll(marked(url, 'A'.repeat(60)))],
    ['a probe', (url) => new RawClient(url).send([], { ask: Ask.probe })],
    ['a probe for an event stream', (url) => fetchAll(marked(url, `${probeMark}1`))],
    ['a page of another host', (url) => new RawClient(url, { Origin: 'https://evil.example' }).open()],
    ['a client that is not let in', (url) => new RawClient(url, { 'X-Stranger': 'yes' }).open()],
    ['an Upgrade header on a request', (url) => fetchAll(url, { headers: { Upgrade: 'h2c' } })],
  ]
  test.each(attempts)('by %s', async (_what, attempt) => {
    const url = await atTheRoot({ verifyClient: ({ req }) => req.headers['x-stranger'] === undefined })
    await attempt(`${url}/other`)
    await check(`${url}/other`, 'theirs')
  })

  test('in a router at the root: a session shows its own address, not all of them', async () => {
    const app = express()
    const router = express.Router()
    router.use(ours().middleware)
    app.use(router)
    const server = createServer(app)
    killer(server)
    const url = `http://127.0.0.1:${await listen(server)}`
    await new RawClient(`${url}/a`).open()
    await check(`${url}/a`, 'ours')
    await check(`${url}/other`, 'theirs')
  })

  test('by what is remembered for others', async () => {
    const url = await atTheRoot()
    const client = new RawClient(`${url}/a`)
    await client.open()
    await fetchAll(marked(`${url}/other`, 'x'))
    await client.send()
    await check(`${url}/a`, 'ours')
    await check(`${url}/other`, 'theirs')
  })

  test('an event stream shows where it is, with its ticket', async () => {
    const realtime = ours()
    let elsewhere = ''
    const server = createServer((request, response) => {
      // The exchanges come to another address than the event stream, as behind a proxy that rewrites one of them.
      if (request.method === 'POST') request.url = '/posts?everwire=1'
      else elsewhere = String(request.url)
      realtime.middleware(request, response, () => response.writeHead(404).end())
    })
    killer(server)
    const url = `http://127.0.0.1:${await listen(server)}`
    const client = new RawClient(`${url}/stream`)
    await client.open()
    await expect(plain(`${url}/stream`)).rejects.toThrow()
    await client.eventStream(await client.ticket())
    expect(elsewhere).toMatch(/^\/stream/)
    await check(`${url}/stream`, 'ours')
  })
})

test('a plain handler: where it was found to be, and nowhere else', async () => {
  const realtime = ours()
  const listener: RequestListener = (request, response) => {
    if (request.url === '/' || request.url?.startsWith('/?')) realtime.middleware(request, response)
    else response.writeHead(404).end()
  }
  const server = createServer(listener)
  killer(server)
  const url = `http://127.0.0.1:${await listen(server)}`
  await new RawClient(`${url}/`).open()
  await check(`${url}/`, 'ours')
  await check(`${url}/other`, 'theirs')
})
