// The contestants: each library with its server and its own client, behind one shape. The modules run in Node and, served as they
// are, in a page: what only one of them has is imported where it is used.
//
// A library is { name, transports, path, serve(server, application, options), client(), page?, connect(client, to, heard) }.
// - `serve` takes over a server of node:http or node:https. For each client it calls application.opened(send, socket), which returns
//   what is to be called with each message, and application.closed() when that client has gone. It returns broadcast(text) and, where
//   the library has rooms, join(socket, room) and publish(room, text).
// - `client` loads the client in Node; `page` tells a page which script to load and what it is called there.
// - `connect` opens a connection to { host, port, secure, transport, deflate } and calls heard.opened(), heard.message(text) and
//   heard.closed(why). It returns { send(text), close() }.
import { engineIo } from './engine.io.mjs'
import { everwire } from './everwire.mjs'
import { native } from './native.mjs'
import { socketIo } from './socket.io.mjs'
import { sockjs } from './sockjs.mjs'
import { ws } from './ws.mjs'

const libraries = [ws, native, engineIo, socketIo, sockjs, everwire]

export function library(name) {
  const found = libraries.find((each) => each.name === name)
  if (!found) throw new Error(`There is no contestant called ${name}`)
  return found
}

/** What stands in a table: a library on one transport. */
export function contestant(name, transport = 'websocket') {
  return { row: transport === 'websocket' ? name : `${name}, ${transport}`, library: name, transport }
}
