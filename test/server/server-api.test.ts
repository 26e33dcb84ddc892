// The server is `ws`'s: its options, its events, and how it closes.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { fetchAll, listen } from '../support/http.ts'
import { ownTimeOf } from '../support/own-time.ts'
import { connectPeer, peerKinds } from '../support/peers.ts'
import { ask, closed, plain, refused } from '../support/plain-client.ts'
import { close, marked, RawClient } from '../support/raw-client.ts'
import { closeOf, end, type Serving, serve, watch } from '../support/serving.ts'

function made(
  options: ConstructorParameters<typeof WebSocketServer>[0],
  callback?: () => void,
): WebSocketServer {
  const realtime = new WebSocketServer(options, callback)
  onTestFinished(() => end(realtime))
  return realtime
}

describe('options', () => {
  test('one place to be at most', () => {
    const server = createServer()
    for (const options of [
      { port: 0, server },
      { port: 0, noServer: true },
      { server, noServer: true },
    ]) {
      expect(() => new WebSocketServer(options)).toThrow(TypeError)
    }
    const anywhere = new WebSocketServer()
    expect(anywhere.options.noServer).toBe(true)
    expect(() => anywhere.address()).toThrow('The server is operating in "noServer" mode')
  })

  test.each(['maxPayload', 'maxBuffered', 'maxBody', 'maxClients', 'patience', 'heartbeat'])(
    '%s is a number',
    (name) => {
      for (const value of [-1, Number.NaN, 'x']) {
        expect(() => new WebSocketServer({ noServer: true, [name]: value })).toThrow(RangeError)
      }
    },
  )

  test.each(['maxBody', 'patience', 'heartbeat'])('%s is told to clients, and has an end', (name) => {
    const endless = { noServer: true, [name]: Number.POSITIVE_INFINITY }
    expect(() => new WebSocketServer(endless)).toThrow(RangeError)
  })

  test('bodies have room for more than the head of a request', () => {
    expect(() => new WebSocketServer({ noServer: true, maxBody: 255 })).toThrow(RangeError)
  })

  test('undefined is the default', async () => {
    const realtime = made({ noServer: true, maxPayload: undefined, clientTracking: undefined } as object)
    expect(realtime.options).toMatchObject({ maxPayload: 100 * 1024 * 1024, clientTracking: true })
  })

  test('what is changed later counts', async () => {
    const { realtime, url } = await serve()
    realtime.options.verifyClient = () => false
    expect((await refused(url)).status).toBe(401)
    realtime.options.path = '/other'
    expect((await refused(url)).status).toBe(400)
  })

  test.each(peerKinds)('maxPayload is exact: %s', async (kind) => {
    const serving = await serve({ maxPayload: 50 })
    const fits = await connectPeer(serving, kind)
    const message = once(fits.socket, 'message')
    fits.send('x'.repeat(50))
    expect(String((await message)[0])).toBe('x'.repeat(50))
    const escaped = once(fits.socket, 'message')
    fits.send('\0'.repeat(50))
    expect(String((await escaped)[0])).toBe('\0'.repeat(50))
    const error = once(fits.socket, 'error')
    const ended = closeOf(fits.socket)
    fits.send('x'.repeat(51))
    expect(((await error)[0] as Error).message).toMatch(/big|exceeded/)
    expect((await ended).code).toBe(1006)
    expect(await fits.arrived.next()).toMatchObject({ code: 1009 })
  })

  test('compression', async () => {
    const { url, connections } = await serve({ perMessageDeflate: { threshold: 0 } })
    const client = await plain(url, [], { perMessageDeflate: true })
    const { socket } = await connections.next()
    expect(socket.extensions).toBe('permessage-deflate')
    socket.on('message', (data) => socket.send(String(data)))
    expect(await ask(client, 'x'.repeat(10_000))).toBe('x'.repeat(10_000))
    await new Promise<void>((resolve, reject) =>
      socket.send('y', (error) => (error ? reject(error) : resolve())),
    )
  })
})

describe('where it is', () => {
  test('port, host, backlog, address(), listening, the callback', async () => {
    const heard: string[] = []
    const realtime = made({ port: 0, host: '127.0.0.1', backlog: 5 }, () => heard.push('callback'))
    realtime.on('listening', () => heard.push('listening'))
    await once(realtime, 'listening')
    expect(heard.sort()).toEqual(['callback', 'listening'])
    const { address, port } = realtime.address() as AddressInfo
    expect(address).toBe('127.0.0.1')
    await plain(`http://127.0.0.1:${port}/any/path?at=all`)
  })

  test('a port that is taken is an error event', async () => {
    const { port } = await serve()
    const second = new WebSocketServer({ port, host: '127.0.0.1' })
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('EADDRINUSE')
    await new Promise<void>((resolve) => second.close(() => resolve()))
  })

  test('server: its events are ours, until we close', async () => {
    const server = createServer()
    const realtime = made({ server })
    expect(realtime.address()).toBe(null)
    const listening = once(realtime, 'listening')
    const port = await listen(server)
    await listening
    expect((realtime.address() as AddressInfo).port).toBe(port)
    const failed = once(realtime, 'error')
    server.emit('error', new Error('of the server'))
    expect(((await failed)[0] as Error).message).toBe('of the server')
    const before = server.listenerCount('listening')
    await end(realtime)
    expect(server.listenerCount('listening')).toBe(before - 1)
    expect(server.listening).toBe(true)
  })

  test('noServer has no address', () => {
    expect(() => made({ noServer: true }).address()).toThrow('noServer')
  })

  test('a plain request to a server of its own is told to upgrade', async () => {
    const { url } = await serve()
    for (const options of [{}, { method: 'POST', body: 'x' }, { headers: { Upgrade: 'websocket' } }]) {
      const { status, headers, body } = await fetchAll(url, options)
      expect([status, body.toString(), headers['sec-websocket-version']]).toEqual([
        426,
        'Upgrade Required',
        '13, 8',
      ])
      expect(headers.upgrade).toBe('websocket')
    }
  })

  test('path and shouldHandle', async () => {
    const { realtime, port, connections } = await serve({ path: '/here' })
    expect(realtime.path).toBe('/here')
    const url = `http://127.0.0.1:${port}`
    await plain(`${url}/here?x=/there`)
    expect((await new RawClient(`${url}/here?x=/there`).open()).head?.status).toBe(0)
    for (const path of ['/', '/there', '/here/', '/here/below', '/HERE']) {
      expect((await refused(url + path)).status).toBe(400)
      expect((await fetchAll(marked(url + path), { method: 'POST' })).status).toBe(426)
    }
    await connections.next()
    await connections.next()
    expect(connections.size).toBe(0)
    realtime.shouldHandle = (request) => request.url?.startsWith('/there') ?? false
    await plain(`${url}/there/too`)
    expect((await refused(`${url}/here`)).status).toBe(400)
  })

  test('several servers on one by handleUpgrade and handleRequest', async () => {
    const server = createServer((request, response) => {
      const one = all.get(new URL(request.url ?? '', 'http://x').pathname)
      if (!one?.handleRequest(request, response)) response.writeHead(404).end()
    })
    const all = new Map(['/a', '/b'].map((path) => [path, made({ noServer: true })]))
    const announced: string[] = []
    for (const [path, one] of all) one.on('connection', () => announced.push(path))
    server.on('upgrade', (request, socket, head) => {
      const one = all.get(request.url ?? '')
      if (one) one.handleUpgrade(request, socket, head, (client) => one.emit('connection', client, request))
      else socket.destroy()
    })
    const url = `http://127.0.0.1:${await listen(server)}`
    await plain(`${url}/a`)
    await plain(`${url}/b`)
    await new RawClient(`${url}/b`).openWebSocket()
    await new RawClient(`${url}/a`).open()
    expect(announced).toEqual(['/a', '/b', '/b', '/a'])
    expect((await fetchAll(`${url}/a`)).status).toBe(404)
    await expect(plain(`${url}/c`)).rejects.toThrow('socket hang up')
  })

  test('handleUpgrade calls back for a new client, and not for one that comes back', async () => {
    const realtime = made({ noServer: true })
    let calls = 0
    const server = createServer().on('upgrade', (request, socket, head) => {
      realtime.handleUpgrade(request, socket, head, (client) => {
        calls++
        client.send(`number ${calls}`)
      })
    })
    const client = new RawClient(`http://127.0.0.1:${await listen(server)}`)
    const first = await client.openWebSocket()
    expect(await client.arrived.next()).toBe('number 1')
    await first.cut()
    client.renew()
    await client.webSocket().next('welcome')
    expect(calls).toBe(1)
  })
})

test('clients', async () => {
  const serving = await serve()
  const peers = await Promise.all([connectPeer(serving, 'plain')])
  for (const kind of peerKinds.slice(1)) peers.push(await connectPeer(serving, kind))
  expect([...serving.realtime.clients]).toEqual(peers.map(({ socket }) => socket))
  for (const peer of peers) {
    const ended = closeOf(peer.socket)
    const present = new Promise((resolve) => {
      peer.socket.on('close', () => resolve(serving.realtime.clients.has(peer.socket)))
    })
    peer.close(1000)
    await ended
    expect(await present).toBe(false)
  }
  expect(serving.realtime.clients.size).toBe(0)
})

test('without clientTracking there are no clients to know of, and close does not wait for them', async () => {
  const server = createServer()
  const realtime = new WebSocketServer({ server, clientTracking: false })
  const connections = watch(realtime)
  const client = await plain(`http://127.0.0.1:${await listen(server)}`)
  const { socket } = await connections.next()
  expect(realtime.clients?.size ?? 0).toBe(0)
  await new Promise<void>((resolve) => realtime.close(() => resolve()))
  socket.send('still here')
  expect(String((await once(client, 'message'))[0])).toBe('still here')
})

/** On an HTTP server that goes on when ours is closed. */
async function mounted(): Promise<Serving> {
  const realtime = new WebSocketServer()
  const port = await listen(createServer(realtime.middleware))
  return { realtime, port, url: `http://127.0.0.1:${port}/`, connections: watch(realtime) }
}

async function shared(): Promise<Serving> {
  const server = createServer((_request, response) => void response.writeHead(404).end())
  const realtime = new WebSocketServer({ server })
  const port = await listen(server)
  return { realtime, port, url: `http://127.0.0.1:${port}/`, connections: watch(realtime) }
}

describe('close', () => {
  const kinds = ['port', 'server', 'noServer', 'mounted'] as const
  const start = async (kind: (typeof kinds)[number]): Promise<{ realtime: WebSocketServer; url: string }> => {
    if (kind === 'port') return serve()
    const server = createServer()
    if (kind !== 'mounted') server.on('request', (_request, response) => void response.writeHead(404).end())
    const port = await listen(server)
    const realtime = new WebSocketServer(kind === 'server' ? { server } : { noServer: kind === 'noServer' })
    if (kind === 'noServer') {
      server.on('upgrade', (request, socket, head) => {
        realtime.handleUpgrade(request, socket, head, (client) =>
          realtime.emit('connection', client, request),
        )
      })
    }
    if (kind === 'mounted') server.on('request', realtime.middleware)
    return { realtime, url: `http://127.0.0.1:${port}/` }
  }

  describe.each(kinds)('%s', (kind) => {
    test('without clients, not before it has returned', async () => {
      const { realtime } = await start(kind)
      let returned = false
      const order: string[] = []
      realtime.on('close', () => order.push(`event ${returned}`))
      await new Promise<void>((resolve) => {
        realtime.close((error) => {
          order.push(`callback ${error}`)
          resolve()
        })
        returned = true
      })
      expect(order).toEqual(['event true', 'callback undefined'])
    })

    test('a second time', async () => {
      const { realtime } = await start(kind)
      const errors: (Error | undefined)[] = []
      await Promise.all([
        new Promise<void>((resolve) => realtime.close((error) => resolve(void errors.push(error)))),
        new Promise<void>((resolve) => realtime.close((error) => resolve(void errors.push(error)))),
      ])
      expect(errors).toEqual([undefined, undefined])
      const third = await new Promise((resolve) => realtime.close(resolve))
      expect(String(third)).toBe('Error: The server is not running')
    })

    test('with all listeners taken away', async () => {
      const { realtime } = await start(kind)
      realtime.removeAllListeners()
      await new Promise<void>((resolve) => realtime.close(() => resolve()))
    })

    test('with a client left, which stays, and nobody else', async () => {
      const { realtime, url } = await start(kind)
      const connections = watch(realtime)
      const client = await plain(url)
      const { socket } = await connections.next()
      socket.on('message', (data) => socket.send(String(data)))
      let isClosed = false
      const closing = new Promise<void>((resolve) => {
        realtime.close(() => {
          isClosed = true
          resolve()
        })
      })
      expect(await ask(client, 'still here')).toBe('still here')
      await expect(plain(url)).rejects.toThrow()
      expect(isClosed).toBe(false)
      client.close()
      await closing
      expect(realtime.clients.size).toBe(0)
    })
  })

  const both = peerKinds.flatMap((kind) => [
    { kind, on: 'a mount', start: mounted },
    { kind, on: 'the option server', start: shared },
    // Plain clients need no other connection: there a server of its own stops listening at once, as that of ws does.
    ...(kind === 'plain' ? [] : [{ kind, on: 'a port of its own', start: serve }]),
  ])
  test.each(both)('a client by $kind on $on is waited for, and may go on', async ({ kind, start }) => {
    const serving = await start()
    const { realtime, url } = serving
    const peer = await connectPeer(serving, kind)
    const closing = new Promise<string>((resolve) => realtime.close(() => resolve('closed')))
    const newcomer = await new RawClient(url).open()
    expect([newcomer.status, newcomer.body.toString()]).toEqual([503, 'The server is closing'])
    peer.socket.send('still here')
    expect(await peer.arrived.next()).toBe('still here')
    expect(await Promise.race([closing, Promise.resolve('waiting')])).toBe('waiting')
    peer.socket.close(1001, 'bye')
    expect(await peer.arrived.next()).toEqual({ code: 1001, reason: 'bye' })
    expect(await closing).toBe('closed')
  })

  test('a client that is let in and ended at once has been let in', async () => {
    const { realtime, url } = await serve()
    realtime.on('connection', (socket) => socket.terminate())
    expect((await closed(await plain(url))).code).toBe(1006)
  })

  const byHttp = ['stream', 'sse', 'polling'] as const
  test.each(byHttp)(
    'when the last client has gone, what its connections could still be used for is not waited for: %s',
    async (transport) => {
      const { realtime, url, connections } = await serve()
      const client = new WebSocket(url, [], { transports: [transport] })
      const { socket } = await connections.next()
      const ended = closeOf(socket)
      await once(client, 'open')
      const waited = await ownTimeOf(async () => {
        const through = new Promise<void>((resolve) => realtime.close(() => resolve()))
        const seen = once(client, 'close')
        socket.close(4001, 'restart')
        expect(await ended).toMatchObject({ code: 4001, reason: 'restart' })
        expect(await seen).toEqual([4001, Buffer.from('restart')])
        await through
      })
      // Both ends would keep such a connection for four or five seconds.
      expect(waited).toBeLessThan(3000)
    },
  )

  test.each(peerKinds)(
    'the last client to go: first its close, then that of the server: %s',
    async (kind) => {
      const serving = await serve()
      const peer = await connectPeer(serving, kind)
      const order: string[] = []
      peer.socket.on('close', () => order.push('socket'))
      serving.realtime.on('close', () => order.push('server'))
      const closing = new Promise<void>((resolve) => serving.realtime.close(() => resolve()))
      peer.socket.terminate()
      await closing
      expect(order).toEqual(['socket', 'server'])
    },
  )

  test.each(peerKinds)(
    'a server of its own does not wait for clients that do not confirm their end: %s',
    async (kind) => {
      const serving = await serve()
      const client = new RawClient(serving.url)
      if (kind === 'plain') await plain(serving.url)
      else if (kind === 'websocket') await client.openWebSocket()
      else {
        await client.open()
        if (kind === 'stream') await client.stream()
        if (kind === 'sse') await client.eventStream(await client.ticket())
      }
      const { socket } = await serving.connections.next()
      const polled = kind === 'polling' ? client.poll().catch(() => 'cut') : undefined
      const ended = closeOf(socket)
      socket.close(1001)
      // The client closes by itself, and hears nothing any more.
      if (kind !== 'plain' && kind !== 'websocket') await client.send([close(1000)])
      else socket.terminate()
      await ended
      const closed = new Promise<void>((resolve) => serving.realtime.close(() => resolve()))
      expect(await ownTimeOf(() => closed)).toBeLessThan(3000)
      await polled
    },
  )

  test('terminating all is enough', async () => {
    const serving = await mounted()
    const peers = []
    for (const kind of peerKinds) peers.push(await connectPeer(serving, kind))
    const closing = new Promise<void>((resolve) => serving.realtime.close(() => resolve()))
    for (const socket of serving.realtime.clients) socket.terminate()
    for (const peer of peers) expect(await peer.arrived.next()).toMatchObject({ code: 1006 })
    await closing
  })

  test('a plain client is closed with its code', async () => {
    const { url, realtime } = await serve()
    const client = await plain(url)
    for (const socket of realtime.clients) socket.close(1012, 'restart')
    expect(await closed(client)).toEqual({ code: 1012, reason: 'restart' })
  })
})
