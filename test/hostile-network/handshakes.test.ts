// What a network does to WebSocket handshakes.
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import type { HostileNetworkOptions } from '../../testing/index.ts'
import { fetchAll } from '../support/http.ts'
import { ask, plain, refused } from '../support/plain-client.ts'
import { behind, struck } from './server.ts'

test.each([
  [{ upgrade: 403 }, 403, 'Forbidden', undefined],
  [{ upgrade: 426 }, 426, 'Upgrade Required', undefined],
  [{ upgrade: 502 }, 502, 'Bad Gateway', undefined],
  [{ upgrade: 'page' }, 200, 'Sign in', undefined],
  [{ upgrade: 'redirect' }, 302, 'Found', '/sign-in'],
  [{ captive: true }, 200, 'Sign in', undefined],
  [{ captive: 'redirect' }, 302, 'Found', '/sign-in'],
  [{ errorPages: 1 }, 'a 5', '<!doctype html>', undefined],
] satisfies [HostileNetworkOptions, number | string, string, string | undefined][])(
  '%o: the handshake is answered with it, and does not reach the server',
  async (faults, status, text, location) => {
    const { network, webSockets } = await behind(faults)
    const names = struck(network)
    const answer = await refused(`${network.url}/`)
    if (typeof status === 'number') expect(answer.status).toBe(status)
    else expect([502, 503, 504]).toContain(answer.status)
    expect(String(answer.body)).toContain(text)
    expect(answer.headers['content-type']).toContain('text/html')
    expect(answer.headers.location).toBe(location === undefined ? undefined : network.url + location)
    expect(await names.next()).toBe(Object.keys(faults)[0])
    expect(webSockets.size).toBe(0)
    network.clear()
    expect(await ask(await plain(`${network.url}/`), 'hello')).toBe('hello')
  },
)

test('a fault of handshakes is none of requests, and none of what is open', async () => {
  const { network } = await behind()
  const socket = await plain(`${network.url}/`)
  network.set({ upgrade: 403 })
  expect((await fetchAll(network.url)).status).toBe(200)
  expect(await ask(socket, 'still')).toBe('still')
})

test('swallowed: never answered, and it does not reach the server', async () => {
  const { network, webSockets } = await behind({ upgrade: 'swallow' })
  const names = struck(network)
  const socket = new WebSocket(network.url)
  onTestFinished(() => socket.terminate())
  socket.on('error', () => {})
  socket.on('upgrade', () => expect.unreachable())
  socket.on('unexpected-response', () => expect.unreachable())
  expect(await names.next()).toBe('upgrade')
  network.clear()
  expect(await ask(await plain(network.url), 'hello')).toBe('hello')
  await webSockets.next()
  expect(webSockets.size).toBe(0)
  expect([...network.connections][0]?.silent).toBe(true)
  expect(socket.readyState).toBe(WebSocket.CONNECTING)
})

test('mute: it opens on both sides, and nothing more gets through', async () => {
  const { network, webSockets } = await behind({ upgrade: 'mute' })
  const socket = await plain(network.url)
  const server = await webSockets.next()
  socket.on('message', () => expect.unreachable())
  server.on('message', () => expect.unreachable())
  socket.send('lost')
  server.send('lost')
  expect(await ask(await plain(network.clear().url), 'later')).toBe('later')
  expect([...network.connections].map(({ silent, webSocket }) => [silent, webSocket])).toEqual([
    [true, true],
    [false, true],
  ])
})

test('mute to server: what the server says gets through, and nothing else', async () => {
  const { network, webSockets } = await behind({ upgrade: 'mute to server' })
  const socket = await plain(network.url)
  const server = await webSockets.next()
  server.on('message', () => expect.unreachable())
  socket.send('lost')
  for (const text of ['one', 'two']) {
    server.send(text)
    expect(String((await once(socket, 'message'))[0])).toBe(text)
  }
  expect([...network.connections][0]?.silent).toBe(false)
})

test('mute to client: what the client says gets through, and nothing else', async () => {
  const { network, webSockets } = await behind({ upgrade: 'mute to client' })
  const socket = await plain(network.url)
  const server = await webSockets.next()
  socket.on('message', () => expect.unreachable())
  server.send('lost')
  for (const text of ['one', 'two']) {
    socket.send(text)
    expect(String((await once(server, 'message'))[0])).toBe(text)
  }
})

test('mute: what the server says with its 101 does not get through either', async () => {
  const { network } = await behind({ upgrade: 'mute' })
  const { network: inner, webSockets } = await behind()
  network.target = inner.target
  const socket = new WebSocket(network.url)
  onTestFinished(() => socket.terminate())
  socket.on('message', () => expect.unreachable())
  const server = await webSockets.next()
  server.send('in the same flight')
  await once(socket, 'open')
  expect(await ask(await plain(network.clear().url), 'later')).toBe('later')
})
