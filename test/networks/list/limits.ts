/**
 * What everwire has to keep on the networks of this folder. A round trip takes 50 ms, so over a plain WebSocket the first
 * answer is there after three of them: for the connection, the handshake and the message.
 */
import type { NetworkLimits } from '../network.ts'

export const roundTrip = 50
/** Real proxies take messages apart and put them together; a busy machine adds to that. */
export const hiccup = 250
export const raceDelay = 300
/** Nothing is ever told of a silent loss: an acknowledgement that may wait for 250 ms is overdue a second later. */
export const overdue = 1250

const onHttp: readonly string[] = ['stream', 'sse', 'polling']
const onAnything: readonly string[] = ['websocket', ...onHttp]

export const allowed: NetworkLimits = {
  first: 3 * roundTrip,
  gap: hiccup,
  because: 'nothing stands in the way',
  uses: onAnything,
}

/** That WebSockets are refused is known after one round trip more, and the next transport has a connection of its own. */
export const refused: NetworkLimits = {
  first: 5 * roundTrip,
  gap: hiccup,
  because: 'the next transport begins where the first was refused',
  uses: onHttp,
}

/** Nobody says that WebSockets do not get through: after the race delay the next transport needs what a WebSocket would. */
export const swallowed: NetworkLimits = {
  first: raceDelay + 3 * roundTrip,
  gap: hiccup,
  because: 'the next transport begins beside the one that hangs',
  uses: onHttp,
}
