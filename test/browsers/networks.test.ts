// What stands in the way of WebSockets, with a real page at the client's end: the same books, the same limits as in Node.
import { describe } from 'vitest'
import { testNetwork } from '../networks/holds.ts'
import { inTheWay } from '../networks/list/in-the-way.ts'
import { inEachEngine } from './engines.ts'
import { everwireInPages } from './page-contestant.ts'

/** In each engine. That which stands in the way in Chromium alone is the same for all of them. */
const everywhere = ['open', 'nginx, buffering', 'WebSocket: 403', 'WebSocket: no answer', 'WebSocket: mute']

inEachEngine('both ends talk', (engine, engineName) => {
  // Any page of the server will do, if it lets scripts run: it refuses this one.
  const page = everwireInPages(engine, (url) => new URL('/elsewhere', url).href)

  if (engineName === 'Chromium')
    describe.concurrent('beside each other', () => {
      for (const network of inTheWay) testNetwork(network, page)
    })
  // Here a WebSocket that hangs is in the way of those to other ports, or one page has to wait for the other.
  else for (const network of inTheWay) if (everywhere.includes(network.name)) testNetwork(network, page)
})
