/** Bugs that the simulation must find, one at a time, in copies of everwire made for the test. */
import type { Bug } from './load.ts'
import type { ScenarioName } from './scenarios.ts'

interface Planted extends Bug {
  /** Where the runs that are to find it spend their time; without it, everywhere. */
  readonly scenario?: ScenarioName
}

export const bugs: readonly Planted[] = [
  {
    name: 'no replay on a carrier that takes over from a living one',
    file: 'shared/session.ts',
    snippet: '    this.link = link\n    this.epoch = link.epoch\n    this.#rewind(link)',
    replacement:
      '    const older = this.link\n    this.link = link\n    this.epoch = link.epoch\n    if (older) link.sent = older.sent; else this.#rewind(link)',
  },
  {
    name: 'no replay on a carrier that survived another',
    file: 'shared/session.ts',
    snippet: '    this.link = link\n    this.epoch = link.epoch\n    this.#rewind(link)',
    replacement:
      '    const older = this.link\n    this.link = link\n    this.epoch = link.epoch\n    if (older) this.#rewind(link); else link.sent = this.lastNumber',
  },
  {
    name: 'acknowledges one too many',
    file: 'shared/session.ts',
    snippet: "return { kind: 'ack', number: this.taken }",
    replacement: "return { kind: 'ack', number: this.taken + 1 }",
    or: [
      {
        file: 'shared/session.ts',
        snippet: `return { kind: 'ack', payload: \`\${this.taken}\` }`,
        replacement: `return { kind: 'ack', payload: \`\${this.taken + 1}\` }`,
      },
    ],
  },
  {
    name: 'says to have one too few',
    file: 'shared/session.ts',
    snippet: 'return { number: this.taken, offset: this.partialSize }',
    replacement: 'return { number: Math.max(this.taken - 1, 0), offset: this.partialSize }',
  },
  {
    name: 'takes the last message twice',
    scenario: 'behind backpressure',
    file: 'shared/session.ts',
    snippet: 'if (link.got <= this.taken) {',
    replacement: 'if (link.got < this.taken) {',
  },
  {
    name: 'takes the last message twice where places are told',
    file: 'shared/session.ts',
    snippet: 'if (number <= this.taken) {',
    replacement: 'if (number < this.taken) {',
  },
  {
    name: 'does not acknowledge what was repeated',
    scenario: 'switch in mid-message',
    file: 'shared/session.ts',
    snippet: 'if (link.got <= this.taken) {\n      this.#oweAck(0, now)',
    replacement: 'if (link.got <= this.taken) {',
  },
  {
    name: 'ignores the offset of a piece',
    scenario: 'switch in mid-message',
    file: 'shared/session.ts',
    snippet: 'const skip = have - at.offset',
    replacement: 'const skip = 0',
  },
  {
    name: 'takes what lies behind a gap',
    scenario: 'rough exchanges',
    file: 'shared/session.ts',
    snippet: 'if (number > this.taken + 1 || at.offset > have) return false',
    replacement: 'if (at.offset > have) return false',
  },
  {
    name: 'keeps part of a message that came whole over a WebSocket',
    file: 'shared/session.ts',
    snippet: '    this.#forgetPartial()\n    this.#accept(kind, data, code, now)',
    replacement: '    this.#accept(kind, data, code, now)',
    or: [
      {
        file: 'shared/session.ts',
        snippet: '    this.#forgetPartial()\n    this.#accept(kind, data, now)',
        replacement: '    this.#accept(kind, data, now)',
      },
    ],
  },
  {
    name: 'does not number the close',
    file: 'shared/session.ts',
    snippet: 'this.taken++',
    replacement: "if (kind !== 'close') this.taken++",
  },
  {
    name: 'uses a carrier older than the newest',
    file: 'shared/session.ts',
    snippet: "if (link.epoch < this.epoch) return 'older'",
    replacement: '',
  },
  {
    name: 'does not go back when asked to',
    scenario: 'lost exchanges',
    file: 'shared/session.ts',
    snippet: 'if (this.link === link) this.#rewind(link)',
    replacement: '',
  },
  {
    name: 'leaves out what was acknowledged meanwhile',
    scenario: 'switch in mid-message',
    file: 'shared/session.ts',
    snippet: '    return this.outgoing.at(link.sent - this.base) ?? blank',
    replacement:
      '    link.sent = Math.max(link.sent, this.base)\n    return this.outgoing.at(link.sent - this.base)',
  },
  {
    name: 'does not answer a close',
    file: 'shared/session.ts',
    snippet: 'if (!this.ownClose) this.#sendClose(code, data',
    replacement: 'if (!this.ownClose && !this.over) this.#sendClose(code, data',
    or: [
      {
        file: 'shared/session.ts',
        snippet: 'if (!this.ownClose) this.#sendClose(code, reason, now)\n      else',
        replacement: 'if (!this.ownClose && !this.over) this.#sendClose(code, reason, now)\n      else',
      },
    ],
  },
  {
    name: 'is done before its own close has arrived',
    scenario: 'both close',
    file: 'shared/session.ts',
    snippet: 'else if (this.base >= this.ownClose) this.#finish()',
    replacement: 'else this.#finish()',
  },
  {
    name: 'a snapshot that knows the size of a part but not its bytes',
    scenario: 'restart',
    file: 'shared/snapshot.ts',
    snippet: 'session.partial = from.partial',
    replacement: 'session.partial = new Uint8Array(from.partial.length)',
  },
  {
    name: 'a snapshot without undelivered events',
    file: 'shared/snapshot.ts',
    snippet: "undelivered: undelivered as Snapshot['undelivered']",
    replacement: 'undelivered: []',
  },
  {
    name: 'a snapshot that forgets its own close',
    file: 'shared/snapshot.ts',
    snippet: 'session.ownClose = from.ownClose',
    replacement: '',
  },
  {
    name: 'counts unsent bytes of messages already acknowledged',
    file: 'shared/session.ts',
    snippet: 'if (sent < this.base) this.unsentBytes -= size',
    replacement: '',
  },
  {
    name: 'a replay buffer without a limit',
    file: 'shared/session.ts',
    snippet:
      "if (this.queuedBytes + this.outgoing.length * overhead >= this.limits.maxBuffered) return 'full'",
    replacement: '',
  },
  {
    name: 'writes a cut message from its start again',
    file: 'shared/exchange.ts',
    snippet: 'payload.subarray(offset, end)',
    replacement: 'payload.subarray(0, end - offset)',
    or: [
      {
        file: 'shared/carry.ts',
        snippet: 'payload.subarray(offset, end)',
        replacement: 'payload.subarray(0, end - offset)',
      },
    ],
  },
  {
    name: 'loses the place after a piece',
    scenario: 'long message',
    file: 'shared/exchange.ts',
    snippet: 'if (more) at.offset += payload.length',
    replacement: 'if (more) at.offset = payload.length',
    or: [
      {
        file: 'shared/carry.ts',
        snippet: 'if (more) at.offset += payload.length',
        replacement: 'if (more) at.offset = payload.length',
      },
    ],
  },
  {
    name: 'tells a close without its reason',
    file: 'shared/control.ts',
    snippet: "{ kind: 'close', code: number, reason }",
    replacement: "{ kind: 'close', code: number, reason: '' }",
    or: [
      {
        file: 'shared/message.ts',
        snippet: 'reason: payload.slice(5)',
        replacement: "reason: ''",
      },
    ],
  },
  {
    name: 'a race that does not go on when an attempt has failed',
    file: 'client/pilot/pilot.ts',
    snippet: 'this.#failed.set(transport, why)\n      this.#next()',
    replacement: 'this.#failed.set(transport, why)',
    or: [
      {
        file: 'client/pilot/race.ts',
        snippet: 'this.#failed.set(transport, why)\n    this.#next()',
        replacement: 'this.#failed.set(transport, why)',
      },
    ],
  },
  {
    name: 'no other round when all transports have failed',
    file: 'client/pilot/pilot.ts',
    snippet: 'else if (this.welcome) this.#resume()',
    replacement: 'else if (this.welcome) return',
    or: [
      {
        file: 'client/pilot/race.ts',
        snippet: 'if (this.#host.exhausted(reasons)) this.resume()',
        replacement: 'this.#host.exhausted(reasons)',
      },
    ],
  },
  {
    name: 'an attempt that may take for ever',
    scenario: 'blackout',
    file: 'client/pilot/pilot.ts',
    snippet: 'this.#deadlines.set(link, this.#now + Math.min(this.answerPatience, patience))',
    replacement: '',
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: "this.lost(link, { is: 'timeout' }, 'client'), this.#attemptPatience)",
        replacement: '{}, this.#attemptPatience)',
      },
    ],
  },
  {
    name: "a carrier that was lost, and stays the session's",
    file: 'client/pilot/pilot.ts',
    snippet: "this.phase = { is: 'alone' }\n    this.#session.detach(link, this.#now)",
    replacement: "this.phase = { is: 'alone' }",
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: 'this.#used = this.#doubt = undefined\n    this.session.detach(link, now())',
        replacement: 'this.#used = this.#doubt = undefined',
      },
    ],
  },
  {
    name: 'a page that comes back and looks for no carrier',
    scenario: 'away and back',
    file: 'client/pilot/pilot.ts',
    snippet: 'if (on) this.#alone(on)\n      else {',
    replacement: 'if (!on) {',
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: 'if (this.#used) this.#left(this.#used)\n    else this.#race.resume()',
        replacement: '',
      },
    ],
  },
  {
    name: 'a carrier that waits for an answer it has got',
    file: 'client/pilot/pilot.ts',
    snippet: 'link.asked = false\n    if (link === this.phase.on) this.#trust()',
    replacement: 'if (link === this.phase.on) this.#trust()',
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: 'link.asked = false\n    if (link !== this.#used) return',
        replacement: 'if (link !== this.#used) return',
      },
    ],
  },
  {
    name: 'a time of the session that nobody looks at',
    file: 'client/pilot/pilot.ts',
    snippet: "if (this.#now >= this.#sessionAt) this.#actions.push({ do: 'expire' })",
    replacement: '',
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: '    this.session.handleTimeout(time)\n    this.settle()',
        replacement: '    this.settle()',
      },
    ],
  },
  {
    name: 'a carrier in use that goes on standing by',
    file: 'client/pilot/connector.ts',
    snippet: 'action.link.standby = false',
    replacement: '',
    or: [
      {
        file: 'client/pilot/connector.ts',
        snippet: 'link.carrier?.take()\n    link.standby = false',
        replacement: 'link.carrier?.take()',
      },
    ],
  },
  {
    name: 'a body that says where its first message begins, and not where in it',
    file: 'client/pilot/identity.ts',
    snippet: 'at: { number: link.sent, offset: link.sentOffset },',
    replacement: 'at: { number: link.sent, offset: 0 },',
  },
  {
    name: 'a request that failed is not made again',
    scenario: 'one exchange fails',
    file: 'client/carriers/http-plan.ts',
    snippet: 'lane.again = true\n    // Not everything',
    replacement: 'lane.again = false\n    // Not everything',
    or: [
      {
        file: 'client/carriers/http.ts',
        snippet: 'lane.again = true\n      const ',
        replacement: 'lane.again = false\n      const ',
      },
    ],
  },
  {
    name: 'a body that was refused, and another one as large',
    file: 'client/carriers/http-plan.ts',
    snippet: 'if (cut) view.piece = Math.max(minPiece, Math.min(view.piece, bytes) >> 1)',
    replacement: '',
    or: [
      {
        file: 'client/carriers/http.ts',
        snippet: 'if (cut) this.#piece = Math.max(minPiece, Math.min(this.#piece, lane.size) >> 1)',
        replacement: '',
      },
    ],
  },
  {
    name: 'goes on with a carrier that the server has replaced',
    file: 'client/carriers/http.ts',
    snippet: "if (status === Status.superseded) this.#end({ is: 'superseded' })\n    else if",
    replacement: 'if',
  },
  {
    name: 'a slot that is never given back',
    file: 'client/carriers/http.ts',
    snippet: 'this.#release?.()',
    replacement: '',
    or: [
      {
        file: 'client/carriers/http.ts',
        snippet: 'this.#slot?.()\n    this.#slot = this.#ticket = undefined',
        replacement: 'this.#slot = this.#ticket = undefined',
      },
    ],
  },
  {
    name: 'a WebSocket that does not look how much the server has',
    scenario: 'server forgets a little',
    file: 'client/carriers/websocket.ts',
    snippet: 'if (!link.standby && got < session.acknowledged.number) {',
    replacement: 'if (false) {',
  },
  {
    name: 'text that begins with U+0000 is sent as it is',
    file: 'client/carriers/websocket.ts',
    snippet: "typeof data === 'string' && data[0] === nul ? nul + data : data",
    replacement: 'data',
  },
  {
    name: 'a WebSocket that takes over, and leaves the place to the server',
    scenario: 'websocket blocked',
    file: 'server/carriers/websocket-carrier.ts',
    snippet: 'this.link.got = start\n',
    replacement: '',
  },
  {
    name: 'a client that came again is not seen',
    scenario: 'idle for long',
    file: 'server/entry/http-entry.ts',
    snippet: "if (found !== 'unknown') found.sessionAccount.seen()",
    replacement: '',
  },
]
