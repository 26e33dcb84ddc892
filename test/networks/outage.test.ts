// A server that is away for half a minute, behind a real nginx that answers 502: the client asks for it now and then, and finds it.
import { readFileSync } from 'node:fs'
import { setTimeout as lasts } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { startProxy } from '../support/proxies.ts'
import { serve } from '../support/serving.ts'
import { needs } from '../support/tools.ts'

const outage = 30_000
const longestPause = 5000

/** What docs/DEPLOYING.md says to put into a server of nginx. */
const [, documented = ''] =
  readFileSync(new URL('../../docs/DEPLOYING.md', import.meta.url), 'utf8').match(
    /^```nginx\n(error_page.*?)^```/ms,
  ) ?? []

const configured = (more: string): string => `
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
  listen 127.0.0.1:PORT;
  location / {
    proxy_pass http://127.0.0.1:TARGET;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $http_host;
    proxy_buffering off;
  }
  ${more}
}`

needs('nginx', 'behind a real nginx', () => {
  test('an outage of 30 seconds costs at most 25 requests, and a message sent in it arrives', async () => {
    const { port, connections } = await serve({ path: '/realtime', patience: 2 * outage })
    const behind = await hostileNetwork(port)
    onTestFinished(() => behind.close())
    const nginx = await startProxy({ program: 'nginx', config: configured('') }, behind.port)
    onTestFinished(() => nginx.stop())
    const before = await hostileNetwork(nginx.port)
    onTestFinished(() => before.close())
    const socket = new WebSocket(`ws://127.0.0.1:${before.port}/realtime`, { remember: false })
    onTestFinished(() => socket.close())
    const events: string[] = []
    for (const type of ['open', 'close'] as const) socket.addEventListener(type, () => events.push(type))
    const { socket: server } = await connections.next()
    const arrived = new Promise((resolve) => server.on('message', (data) => resolve(String(data))))
    await expect.poll(() => socket.transport).toBe('websocket')

    let requests = 0
    before.on('request', () => requests++)
    behind.set({ connections: 'refuse' }).cut()
    await expect.poll(() => socket.transport).toBe(null)
    socket.send('from the outage')
    await lasts(outage)
    expect(requests).toBeGreaterThan(6)
    expect(requests).toBeLessThanOrEqual(25)
    const back = Date.now()
    behind.set({ connections: 'pass' })
    expect(await arrived).toBe('from the outage')
    const found = socket.diary.findLast((entry) => entry.type === 'carrier' && entry.purpose === 'resume')
    expect((found?.at as number) - back).toBeLessThan(longestPause + 1000)
    const whys = socket.diary.map((entry) => (entry.type === 'carrier' ? entry.why : undefined))
    expect(whys).toContain('502 Bad Gateway')
    expect(events).toEqual(['open'])
  })

  test('a client that is told when to come again, as documented, does not come before', async () => {
    expect(documented).toContain('add_header Retry-After 5 always;')
    const { port, connections } = await serve({ path: '/realtime' })
    const behind = await hostileNetwork(port)
    onTestFinished(() => behind.close())
    const nginx = await startProxy({ program: 'nginx', config: configured(documented) }, behind.port)
    onTestFinished(() => nginx.stop())
    const before = await hostileNetwork(nginx.port)
    onTestFinished(() => before.close())
    const socket = new WebSocket(`ws://127.0.0.1:${before.port}/realtime`, {
      transports: ['stream', 'polling'],
      remember: false,
    })
    onTestFinished(() => socket.close())
    const { socket: server } = await connections.next()
    const arrived = new Promise((resolve) => server.on('message', (data) => resolve(String(data))))
    await expect.poll(() => socket.transport).toBe('stream')

    const refused: number[] = []
    behind.set({ connections: 'refuse' }).cut()
    await expect.poll(() => socket.transport).toBe(null)
    before.on('request', () => refused.push(Date.now()))
    socket.send('from the outage')
    const times = () =>
      socket.diary.flatMap((entry) =>
        entry.type === 'carrier' && entry.purpose === 'resume' ? entry.at : [],
      )
    // The second attempt shows how long the client has waited.
    await expect.poll(() => times().length, { timeout: 30_000 }).toBeGreaterThan(1)
    behind.set({ connections: 'pass' })
    expect(await arrived).toBe('from the outage')
    expect(refused.length).toBeGreaterThan(0)
    const all = times()
    const pauses = all.slice(1).map((at, i) => at - (all[i] as number))
    expect(pauses.length).toBeGreaterThan(0)
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(5000)
  })
})
