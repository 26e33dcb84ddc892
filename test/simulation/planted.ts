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
    snippet: `return { kind: 'ack', payload: \`\${this.taken}\` }`,
    replacement: `return { kind: 'ack', payload: \`\${this.taken + 1}\` }`,
  },
  {
    name: 'says to have one too few',
    file: 'shared/session.ts',
    snippet: 'return { number: this.taken, offset: this.partial?.size ?? 0 }',
    replacement: 'return { number: Math.max(this.taken - 1, 0), offset: this.partial?.size ?? 0 }',
  },
  {
    name: 'takes the last message twice',
    file: 'shared/session.ts',
    snippet: 'if (link.got <= this.taken) this',
    replacement: 'if (link.got < this.taken) this',
    scenario: 'behind backpressure',
  },
  {
    name: 'takes the last message twice where places are told',
    file: 'shared/session.ts',
    snippet: 'if (number <= this.taken) this',
    replacement: 'if (number < this.taken) this',
  },
  {
    name: 'does not acknowledge what was repeated',
    file: 'shared/session.ts',
    snippet: 'if (link.got <= this.taken) this.acks.arrived(0, now, this.link?.ackDelay)',
    replacement: 'if (link.got <= this.taken) this.heard(now)',
    scenario: 'switch in mid-message',
  },
  {
    name: 'ignores the offset of a piece',
    file: 'shared/session.ts',
    snippet: 'const skip = have - at.offset',
    replacement: 'const skip = 0',
    scenario: 'switch in mid-message',
  },
  {
    name: 'takes what lies behind a gap',
    file: 'shared/session.ts',
    snippet: 'if (number > this.taken + 1 || at.offset > have) return false',
    replacement: 'if (at.offset > have) return false',
    scenario: 'rough exchanges',
  },
  {
    name: 'keeps part of a message that came whole over a WebSocket',
    file: 'shared/session.ts',
    snippet: '    else this.#accept(kind, data, now)\n  }',
    replacement: `    else {
      const kept = this.partial
      this.#accept(kind, data, now)
      this.partial = kept
    }
  }`,
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
    file: 'shared/session.ts',
    snippet: 'if (this.link === link) this.#rewind(link)',
    replacement: '',
    scenario: 'lost exchanges',
  },
  {
    name: 'leaves out what was acknowledged meanwhile',
    file: 'shared/session.ts',
    snippet: '    return this.outgoing.at(link.sent - this.base) ?? blank',
    replacement:
      '    link.sent = Math.max(link.sent, this.base)\n    return this.outgoing.at(link.sent - this.base)',
    scenario: 'switch in mid-message',
  },
  {
    name: 'does not answer a close',
    file: 'shared/session.ts',
    snippet: '      this.close(code, reason, now)\n',
    replacement: `
      if (!this.closing) {
        this.#end({ is: 'closed', ownClose: this.lastNumber + 1, deadline: this.closeDeadline(now) }, code, reason, true)
        return
      }`,
  },
  {
    name: 'is done before its own close has arrived',
    file: 'shared/session.ts',
    snippet: "this.base >= phase.ownClose ? done : { ...phase, is: 'closed' }",
    replacement: 'done',
    scenario: 'both close',
  },
  {
    name: 'a snapshot that knows the size of a part but not its bytes',
    file: 'shared/snapshot.ts',
    snippet: 'session.keep(from.partial)',
    replacement: 'session.keep(new Uint8Array(from.partial.length))',
    scenario: 'restart',
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
    snippet: 'const { ownClose, over } = from',
    replacement: 'const { over } = from\n    const ownClose = 0',
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
    file: 'shared/carry.ts',
    snippet: 'payload.subarray(offset, end)',
    replacement: 'payload.subarray(0, end - offset)',
  },
  {
    name: 'loses the place after a piece',
    file: 'shared/carry.ts',
    snippet: 'if (more) at.offset += payload.length',
    replacement: 'if (more) at.offset = payload.length',
    scenario: 'long message',
  },
  {
    name: 'tells a close without its reason',
    file: 'shared/message.ts',
    snippet: 'reason: payload.slice(5)',
    replacement: "reason: ''",
  },
  {
    name: 'a race that does not go on when an attempt has failed',
    file: 'client/pilot/pilot.ts',
    snippet: 'this.#failed.set(transport, why)\n      this.#next()',
    replacement: 'this.#failed.set(transport, why)',
  },
  {
    name: 'no other round when all transports have failed',
    file: 'client/pilot/pilot.ts',
    snippet: 'if (this.#isTrying) return\n    this.#failed.clear()',
    replacement: 'if (this.#isTrying || this.#rounds) return\n    this.#failed.clear()',
  },
  {
    name: 'the first 401 ends the session',
    file: 'client/pilot/pilot.ts',
    snippet: 'if (isMeant && now - this.#refusedSince > times.mistaken)',
    replacement: 'if (isMeant)',
    scenario: 'signed out for a moment',
  },
  {
    name: 'a 401 that is forgotten',
    file: 'client/pilot/pilot.ts',
    snippet: 'isMeant ? Math.min(this.#refusedSince, now) : never',
    replacement: 'never',
    scenario: 'signed out',
  },
  {
    name: 'an attempt that may take for ever',
    file: 'client/pilot/pilot.ts',
    snippet: 'this.#deadlines.set(link, this.#now + Math.min(this.answerPatience, patience))',
    replacement: '',
    scenario: 'blackout',
  },
  {
    name: "a carrier that was lost, and stays the session's",
    file: 'client/pilot/pilot.ts',
    snippet: "this.phase = { is: 'alone' }\n    this.#session.detach(link, this.#now)",
    replacement: "this.phase = { is: 'alone' }",
  },
  {
    name: 'a page that comes back and looks for no carrier',
    file: 'client/pilot/pilot.ts',
    snippet: 'if (on) this.#alone(on)\n      else {',
    replacement: 'if (!on) {',
    scenario: 'away and back',
  },
  {
    name: 'a carrier that waits for an answer it has got',
    file: 'client/pilot/pilot.ts',
    snippet: 'link.asked = false\n    if (link === this.phase.on) this.#trust()',
    replacement: 'if (link === this.phase.on) this.#trust()',
    scenario: 'websocket blocked',
  },
  {
    name: 'a time of the session that nobody looks at',
    file: 'client/pilot/pilot.ts',
    snippet: 'if (this.#now >= this.#sessionAt) this.#actions.push((shell) => shell.expire())',
    replacement: '',
  },
  {
    name: 'a carrier in use that goes on standing by',
    file: 'client/pilot/connector.ts',
    snippet: 'link.standby = false',
    replacement: '',
  },
  {
    name: 'a body that says where its first message begins, and not where in it',
    file: 'client/pilot/identity.ts',
    snippet: 'at: link.place,',
    replacement: 'at: { ...link.place, offset: 0 },',
  },
  {
    name: 'a request that failed is not made again',
    file: 'client/carriers/http.ts',
    snippet: 'lane.again = true\n      if',
    replacement: 'lane.again = false\n      if',
    scenario: 'one exchange fails',
  },
  {
    name: 'a body that was refused, and another one as large',
    file: 'client/carriers/http-plan.ts',
    snippet: 'piece: cut ? Math.max(minPiece, Math.min(piece, blamed) >> 1) : piece,',
    replacement: 'piece,',
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
    snippet: 'this.#release?.(inTheWay)\n',
    replacement: '',
  },
  {
    name: 'what is held does not give way to what waits behind it',
    file: 'client/carriers/http.ts',
    snippet: 'this.#giveWay(true)\n',
    replacement: '',
    scenario: 'few streams',
  },
  {
    name: 'a WebSocket that does not look how much the server has',
    file: 'client/carriers/websocket.ts',
    snippet: 'if (!link.standby && got < session.acknowledged.number) {',
    replacement: 'if (false) {',
    scenario: 'server forgets a little',
  },
  {
    name: 'text that begins with U+0000 is sent as it is',
    file: 'client/carriers/websocket.ts',
    snippet: "typeof data === 'string' && data[0] === nul ? nul + data : data",
    replacement: 'data',
  },
  {
    name: 'a WebSocket that takes over, and leaves the place to the server',
    file: 'server/carriers/websocket-carrier.ts',
    snippet: 'this.link.got = start\n',
    replacement: '',
    scenario: 'websocket blocked',
  },
  {
    name: 'a client that came again is not seen',
    file: 'server/entry/http-entry.ts',
    snippet: 'found.sessionAccount.seen()\n',
    replacement: '',
    scenario: 'idle for long',
  },
]
