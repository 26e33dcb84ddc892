// Makes the network worse for one visitor at a time, as firewalls, proxies and lifts do.
// It stands before everwire; neither everwire nor the page's socket is told.

const cutFor = 2_000
const bufferFor = 10_000
const maxLinks = 1_000

/** @param {(req: import('node:http').IncomingMessage) => { id: string } | undefined} visitorOf */
export function badNetwork(visitorOf) {
  /** The open connections of each visitor, and what is forbidden on them. */
  const links = new Map()

  function linkOf(req) {
    const id = visitorOf(req)?.id
    if (!id) return
    const link = links.get(id) ?? { websocket: true, streaming: true, downUntil: 0, open: new Set() }
    links.delete(id)
    links.set(id, link)
    if (links.size > maxLinks) links.delete(links.keys().next().value)
    return link
  }

  function cut(link, which = () => true) {
    for (const connection of link.open) if (which(connection)) connection.socket.destroy()
  }

  return {
    /** All requests to everwire pass here, WebSocket handshakes too. */
    middleware(req, res, next) {
      const link = linkOf(req)
      if (!link) return next()
      if (Date.now() < link.downUntil) return req.socket.destroy()
      const connection = { socket: req.socket, isWebSocket: req.headers.upgrade !== undefined }
      if (connection.isWebSocket && !link.websocket) {
        return res.status(403).type('text').send('This network lets no WebSocket through.')
      }
      link.open.add(connection)
      const end = connection.isWebSocket ? req.socket : res
      end.once('close', () => link.open.delete(connection))
      if (!connection.isWebSocket && !link.streaming) holdBack(res)
      next()
    },

    state(req) {
      const { websocket = true, streaming = true } = linkOf(req) ?? {}
      return { websocket, streaming }
    },

    /** Ends what becomes forbidden; `cut` ends everything and keeps it down for a while. */
    change(req, { websocket, streaming, cut: cutAll }) {
      const link = linkOf(req)
      if (typeof websocket === 'boolean') link.websocket = websocket
      if (typeof streaming === 'boolean') link.streaming = streaming
      if (websocket === false) cut(link, ({ isWebSocket }) => isWebSocket)
      if (streaming === false) cut(link, ({ isWebSocket }) => !isWebSocket)
      if (cutAll === true) {
        link.downUntil = Date.now() + cutFor
        cut(link)
      }
    },
  }
}

/** Does to a streamed answer what a buffering proxy does: nothing passes before the end, and the end is forced. */
function holdBack(res) {
  const { write, end } = res
  const held = []
  let timer
  const hold = (chunk, encoding) => {
    if (typeof chunk === 'string')
      held.push(Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8'))
    else if (chunk && typeof chunk !== 'function') held.push(Buffer.from(chunk))
  }
  res.flushHeaders = () => {}
  res.write = (chunk, ...rest) => {
    if (res.writableEnded) return false
    hold(chunk, rest[0])
    timer ??= setTimeout(() => res.end(), bufferFor)
    const done = rest.at(-1)
    if (typeof done === 'function') process.nextTick(done)
    return true
  }
  res.end = (chunk, ...rest) => {
    clearTimeout(timer)
    hold(chunk, rest[0])
    Object.assign(res, { write, end })
    const done = [chunk, ...rest].find((value) => typeof value === 'function')
    return res.end(Buffer.concat(held), done)
  }
  res.once('close', () => clearTimeout(timer))
}
