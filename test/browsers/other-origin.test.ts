// Where a middlebox answers with a status of its own, and the page is of another origin: the browser hides the answer. A share
// of the networks here; `npm run networks` has all of them.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe } from 'vitest'
import { everwireForAll } from '../networks/contestant.ts'
import { testNetwork } from '../networks/holds.ts'
import { changing } from '../networks/list/changing.ts'
import { inTheWay } from '../networks/list/in-the-way.ts'
import { roundTrip } from '../networks/list/limits.ts'
import { unkindToHttp } from '../networks/list/unkind-http.ts'
import type { Network } from '../networks/network.ts'
import type { EngineName } from './engine.ts'
import { inEachEngine } from './engines.ts'
import { everwireInPages } from './page-contestant.ts'

const share: Readonly<Record<string, readonly string[]>> = {
  Chromium: [
    'WebSocket: 502',
    'nginx, plain, 2 s',
    'bodies of 64 KiB',
    'error pages',
    'captive portal: page',
  ],
  Firefox: ['bodies of 64 KiB', 'error pages'],
  WebKitGTK: ['bodies of 64 KiB', 'error pages'],
}

/** Those where a status comes only while both ends talk. */
const later = ['WebSocket, not, and again', 'captive portal: page', 'captive portal: redirect']

function answers({ name, proxy, faults = {} }: Network): boolean {
  const { upgrade = 'pass', errorPages = 0 } = faults
  const refuses = typeof upgrade === 'number' || ['redirect', 'page'].includes(upgrade)
  return !!proxy || refuses || errorPages > 0 || later.includes(name)
}

/**
 * How long it may take to find out what nobody says: each of ten requests, of which five are large, has its round trip. In
 * WebKitGTK each also has a connection of its own, as has each piece of a message.
 */
function unsaid(network: Network, engineName: EngineName): Network {
  const { faults, limits } = network
  if (!faults?.maxBody) return network
  const found = limits.gap + 10 * roundTrip + 500
  const gap = engineName === 'WebKitGTK' ? 2 * found : found
  return { ...network, limits: { ...limits, gap, because: `${limits.because}; the limit has to be guessed` } }
}

const whole = process.env.EVERWIRE_NETWORKS === 'whole'
const networks = [...inTheWay, ...unkindToHttp, ...changing].filter(answers)

inEachEngine('both ends talk, on two origins', (engine, engineName) => {
  let other: Server
  const page = everwireInPages(
    engine,
    () => `http://127.0.0.1:${(other.address() as AddressInfo).port}/`,
    everwireForAll,
  )

  beforeAll(async () => {
    other = createServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Another origin</title>')
    })
    await once(other.listen(0, '127.0.0.1'), 'listening')
  })

  afterAll(() => {
    other?.close()
    other?.closeAllConnections()
  })

  const tests = (): void => {
    for (const network of networks)
      if (whole || share[engineName]?.includes(network.name)) testNetwork(unsaid(network, engineName), page)
  }
  if (engineName === 'Chromium') describe.concurrent('beside each other', tests)
  else tests()
})
