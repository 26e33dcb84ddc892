// The carrier suite, on every carrier that the client has, in Node.
import { describe } from 'vitest'
import type { Carrier, CarrierHost, CarrierLink } from '../../client/base/carrier.ts'
import { HttpCarrier } from '../../client/carriers/http.ts'
import { WebSocketCarrier } from '../../client/carriers/websocket.ts'
import { WebSocket } from '../../client/node.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { carrierContract, type Implementation } from './carrier-contract.ts'

/** What the class gives its carriers of Node. */
class Inside extends WebSocket {
  static get platformOfNode(): Platform {
    return Inside.platform
  }
}

const platform = Inside.platformOfNode

function openWebSocket(client: CarrierHost, link: CarrierLink, url: string): Carrier {
  return new WebSocketCarrier(client, link, (offers) => platform.webSocket(url, offers, {}))
}

function openHttp(client: CarrierHost, link: CarrierLink, url: string): Carrier {
  const http = `${url.replace('ws', 'http')}?everwire=`
  return new HttpCarrier(client, link, {
    post: (init) => platform.post(`${http}1`, init, {}),
    listen: (ticket, signal) => platform.listen(http + ticket, signal, {}),
  })
}

const all: Implementation[] = [
  { transport: 'websocket', open: openWebSocket, asksAgain: false },
  { transport: 'stream', open: openHttp, asksAgain: true },
  { transport: 'sse', open: openHttp, asksAgain: true },
  { transport: 'polling', open: openHttp, asksAgain: true },
]

describe.each(all)('$transport', (implementation) => carrierContract(implementation))
