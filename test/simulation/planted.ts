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
  },
  {
    name: 'says to have one too few',
    file: 'shared/session.ts',
    snippet: 'return { number: this.taken, offset: this.partialSize }',
    replacement: 'return { number: Math.max(this.taken - 1, 0), offset: this.partialSize }',
  },
  {
    name: 'takes the last message twice',
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
    file: 'shared/session.ts',
    snippet: 'const skip = have - at.offset',
    replacement: 'const skip = 0',
  },
  {
    name: 'takes what lies behind a gap',
    file: 'shared/session.ts',
    snippet: 'if (number > this.taken + 1 || at.offset > have) return false',
    replacement: 'if (at.offset > have) return false',
  },
  {
    name: 'keeps part of a message that came whole over a WebSocket',
    file: 'shared/session.ts',
    snippet: '    this.#forgetPartial()\n    this.#accept(kind, data, code, now)',
    replacement: '    this.#accept(kind, data, code, now)',
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
  },
  {
    name: 'leaves out what was acknowledged meanwhile',
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
  },
  {
    name: 'is done before its own close has arrived',
    file: 'shared/session.ts',
    snippet: 'else if (this.base >= this.ownClose) this.#finish()',
    replacement: 'else this.#finish()',
  },
  {
    name: 'a snapshot that knows the size of a part but not its bytes',
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
  },
  {
    name: 'loses the place after a piece',
    file: 'shared/exchange.ts',
    snippet: 'if (more) at.offset += payload.length',
    replacement: 'if (more) at.offset = payload.length',
  },
  {
    name: 'tells a close without its reason',
    file: 'shared/control.ts',
    snippet: "{ kind: 'close', code: number, reason }",
    replacement: "{ kind: 'close', code: number, reason: '' }",
  },
]
