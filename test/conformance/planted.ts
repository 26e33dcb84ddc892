/** What a server might do wrong, one thing at a time, in copies of ours; and which rule says so. */
import type { PlantedBug } from '../support/plant.ts'

interface Deviating extends PlantedBug {
  /** The rule that must find it. */
  readonly rule: string
}

export const deviations: readonly Deviating[] = [
  {
    name: 'acknowledges one too many',
    rule: 'ack-never-early',
    file: 'shared/session.ts',
    snippet: `return { kind: 'ack', payload: \`\${this.taken}\` }`,
    replacement: `return { kind: 'ack', payload: \`\${this.taken + 1}\` }`,
  },
  {
    name: 'ignores where in a message a piece begins',
    rule: 'pieces-repeated',
    file: 'shared/session.ts',
    snippet: 'const skip = have - at.offset',
    replacement: 'const skip = 0 * have',
  },
  {
    name: 'takes what lies behind a gap',
    rule: 'gap',
    file: 'shared/session.ts',
    snippet: 'else if (number > this.taken + 1 || at.offset > have) return false',
    replacement: '',
  },
  {
    name: 'gives messages to a short exchange that is repeated',
    rule: 'short-repeated',
    file: 'server/carriers/http-carrier.ts',
    snippet: 'if (serial <= this.#shortSerial) {',
    replacement: 'if (serial < this.#shortSerial) {',
  },
  {
    name: 'says ok to a held exchange that was overtaken',
    rule: 'held-lower',
    file: 'server/carriers/http-carrier.ts',
    snippet: 'if (serial < this.#heldSerial) {\n      respond(response, Status.superseded)',
    replacement: 'if (serial < this.#heldSerial) {\n      respond(response, Status.ok)',
  },
  {
    name: 'says superseded to a long-poll that is repeated',
    rule: 'held-repeated',
    file: 'server/carriers/http-carrier.ts',
    snippet: 'this.#respondWithout(this.#held.response, noExtra)\n',
    replacement: 'respond(this.#held.response, Status.superseded)\n',
  },
  {
    name: 'forgets the second piece of a stream',
    rule: 'stream-second-piece',
    file: 'server/carriers/held.ts',
    snippet: 'this.write(proof())',
    replacement: '',
  },
  {
    name: 'lets a stream live for ever',
    rule: 'stream-life',
    file: 'server/carriers/held.ts',
    snippet: 'if (life > 0) this.#timer',
    replacement: 'if (life < 0) this.#timer',
  },
  {
    name: 'lets caches transform its answers',
    rule: 'answer',
    file: 'server/carriers/answers.ts',
    snippet: "'no-store, no-transform'",
    replacement: "'no-store'",
  },
  {
    name: 'says nothing to a WebSocket that it leaves',
    rule: 'joins-at-once',
    file: 'server/carriers/websocket-carrier.ts',
    snippet: "if (why === 'superseded') this.#say('superseded', '')",
    replacement: '',
  },
  {
    name: 'tells a carrier on standby where its messages begin',
    rule: 'standby-websocket',
    file: 'server/carriers/websocket-carrier.ts',
    snippet: "this.#say('welcome', JSON.stringify({ got, ...welcome }))",
    replacement: "this.#say('welcome', JSON.stringify({ got, start: 0, ...welcome }))",
  },
  {
    name: 'sends a text that begins with U+0000 as it is',
    rule: 'escape',
    file: 'server/carriers/websocket-carrier.ts',
    snippet:
      "if (message.kind === 'text' && data[0] === 0) this.#out.add(Buffer.concat([zero, data]), false)\n    else",
    replacement: '',
  },
  {
    name: 'lets a ticket be used twice at a time',
    rule: 'ticket-once',
    file: 'server/carriers/http-carrier.ts',
    snippet: "&& this.#held.is !== 'sse'",
    replacement: '',
  },
  {
    name: 'takes a close with a code that may not be on the wire',
    rule: 'close-not-allowed-2999',
    file: 'shared/frame.ts',
    snippet: '(code === alsoCode || isWireCode(code)) &&',
    replacement: '',
  },
  {
    name: 'tells a close without its reason',
    rule: 'close-4000',
    file: 'shared/message.ts',
    snippet: 'reason: payload.slice(5)',
    replacement: "reason: ''",
  },
  {
    name: 'does not count the pings of a probe',
    rule: 'probe-websocket',
    file: 'server/entry/diagnostics.ts',
    snippet: '        this.#pings.set(id, pings)\n        webSocket.send',
    replacement: '        webSocket.send',
  },
  {
    name: 'takes two tokens for one',
    rule: 'malformed-handshake-token: two tokens',
    file: 'server/base/handshake.ts',
    snippet: "kind === 'token' && from.left === 0 && token",
    replacement: "kind === 'token' && token",
  },
  {
    name: 'reads no token in a handshake',
    rule: 'token-in-handshake',
    file: 'server/base/handshake.ts',
    snippet: "return kind === 'token' && from.left",
    replacement: "return kind === 'hello' && from.left",
  },
  {
    name: 'takes a token of any length',
    rule: 'token-too-long',
    file: 'server/sockets/session-socket.ts',
    snippet: "control?.kind === 'token' && Buffer.byteLength(control.payload) <= maxToken",
    replacement: "control?.kind === 'token'",
  },
  {
    name: 'takes a token only if it has asked for one',
    rule: 'token-later',
    file: 'server/sockets/session-socket.ts',
    snippet: "control?.kind === 'token' &&",
    replacement: "control?.kind === 'token' && this.#question &&",
  },
]
