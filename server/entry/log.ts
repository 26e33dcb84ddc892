/** `NODE_DEBUG=everwire`: what the servers of this process decide, a line for each message of their channels. */
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { debuglog } from 'node:util'
import { beginWords, closeWords, endWords, span } from '../../shared/diary-words.ts'
import { type MountedRequest, pathOf } from '../base/request.ts'
import { endReasons } from '../sockets/end-reasons.ts'
import type { ServerChannels } from '../sockets/reports.ts'

const log = debuglog('everwire')
let logging = false

/** Begins to log, if `NODE_DEBUG` asks for it. */
export function logIfAsked(): void {
  if (logging || !log.enabled) return
  logging = true
  on('session.open', ({ socket, request, plain }) => {
    const what = plain ? 'an ordinary WebSocket' : 'a session'
    say(socket.id, `${what} is opened by ${asked(request)}`)
  })
  on('carrier.begin', ({ socket, carrier, purpose, from }) => {
    const how = { open: 'opens it', resume: 'resumes it', move: `takes over from ${from}` }
    say(socket.id, `${beginWords(carrier)}: ${how[purpose]}`)
  })
  on('carrier.end', ({ socket, carrier }) => {
    say(socket.id, `${beginWords(carrier)}: ${endWords(carrier)}`)
  })
  on('session.resume', ({ socket, away }) => say(socket.id, `back after ${span(away)} without a connection`))
  on('session.end', ({ socket, cause, code, reason }) => {
    say(socket.id, `over, ${endReasons[cause]}: ${closeWords(code, reason)}`)
  })
  on('session.unknown', ({ request }) => log('server: no session here for %s', asked(request)))
  on('refuse', ({ request, status, reason }) => {
    log('server: refuses %s with %d: %s', asked(request), status, reason)
  })
}

type Short = keyof ServerChannels extends `everwire:${infer Name}` ? Name : never

function on<Name extends Short>(
  name: Name,
  listener: (message: ServerChannels[`everwire:${Name}`]) => void,
): void {
  subscribe(`everwire:${name}`, (message) => listener(message as ServerChannels[`everwire:${Name}`]))
}

function say(id: string, what: string): void {
  log('server %s: %s', id, what)
}

/** The request without its query, in which an application may have a secret. */
function asked(request: IncomingMessage): string {
  const { method, url = '', socket } = request
  const path = pathOf((request as MountedRequest).originalUrl ?? url)
  return `${method} ${path} from ${socket?.remoteAddress ?? 'nowhere'}`
}
