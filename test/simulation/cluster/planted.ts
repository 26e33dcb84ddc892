/** Bugs that the simulation of a cluster must find, one at a time, in copies made for the test. */
import type { Bug } from '../load.ts'
import type { ScenarioName } from './scenarios.ts'

interface Planted extends Bug {
  /** Where the runs that are to find it spend their time. */
  readonly scenario: ScenarioName
}

export const bugs: readonly Planted[] = [
  {
    name: 'says its claims again to a store that has lost them, but not its secret',
    file: 'cluster/node.ts',
    snippet: 'if (mustTell) await this.#agree()',
    replacement: '',
    scenario: 'the store loses everything',
  },
  {
    name: 'does not say its claims again',
    file: 'cluster/owners/owners.ts',
    snippet: 'await Promise.all([...missing, ...unstored].map((session) => this.#claimAgain(session)))',
    replacement: '',
    scenario: 'the store loses everything',
  },
  {
    name: 'takes a session for unknown that the store does not know yet',
    file: 'cluster/owners/routes.ts',
    snippet:
      "if (this.#host.isUnsure()) return this.#anybody(session)\n    return this.#host.isNew() ? this.#askAll(session) : 'nobody'",
    replacement: "return 'nobody'",
    scenario: 'the store loses everything',
  },
  {
    name: 'goes on with a session that arrives while it drains',
    file: 'cluster/owners/routes.ts',
    snippet: '    if (isLeaving()) {\n      // If the store cannot',
    replacement:
      '    if (isLeaving()) return { state }\n    if (isLeaving()) {\n      // If the store cannot',
    scenario: 'restart all',
  },
  {
    name: 'believes a store that went back to an earlier owner',
    file: 'cluster/owners/owners.ts',
    snippet: 'claim.fence < fence',
    replacement: 'false',
    scenario: 'a replica takes over',
  },
  {
    name: 'a node that was taken for dead goes on with what others have claimed',
    file: 'cluster/owners/owners.ts',
    snippet: 'if (this.#drop(session)) this.#host.lost(session)',
    replacement: 'this.#drop(session)',
    scenario: 'an owner is lost while it opens',
  },
  {
    name: 'does not look for its claims after it stood still',
    file: 'cluster/node.ts',
    snippet: '(wasOver || this.#mustSecure || asked >= this.#keepAt)',
    replacement: '(this.#mustSecure || asked >= this.#keepAt)',
    scenario: 'an owner is lost while it opens',
  },
  {
    name: 'forgets that a session is over',
    file: 'cluster/owners/owners.ts',
    snippet: 'ended ? this.#endedLife : 0',
    replacement: '0',
    scenario: 'an old request comes again',
  },
  {
    name: 'counts a request as passed on whose client has left',
    file: 'cluster/passing/passing.ts',
    snippet: '        over()\n        line.drop()\n        resolve(',
    replacement: '        line.drop()\n        resolve(',
    scenario: 'storm',
  },
  {
    name: 'does not read on after its reader had enough',
    file: 'cluster/passing/passing.ts',
    snippet: '              line.resume()\n',
    replacement: '',
    scenario: 'rough exchanges',
  },
  {
    name: 'forgets the beginning of what has not come whole',
    file: 'cluster/passing/lines.ts',
    snippet: 'this.#unread = bytes.subarray(at)\n        if (this',
    replacement: 'if (this',
    scenario: 'rough exchanges',
  },
  {
    name: 'hands over what the session was before',
    file: 'server/ending/draining.ts',
    snippet: 'const snapshot = socket.session.snapshot()',
    replacement: 'const snapshot = { ...socket.session.snapshot(), out: [] }',
    scenario: 'drain',
  },
  {
    name: 'gives a subscriber that arrives nothing of what it has missed',
    file: 'server/messages/topics.ts',
    snippet: 'if (!this.#publications || !from) return\n    // Publications of this server',
    replacement: 'return\n    // Publications of this server',
    scenario: 'drain',
  },
  {
    name: 'gives a subscriber that arrives what is new before what it has missed',
    file: 'server/messages/topics.ts',
    snippet: 'this.#late.set(topic, late.add(socket))',
    replacement: 'this.#late.set(topic, late)',
    scenario: 'restart all',
  },
  {
    name: 'does not tell who arrives that the store has lost something',
    file: 'cluster/topics/topics.ts',
    snippet: 'if (loss && loss !== told) host.gap(topic)',
    replacement: '',
    scenario: 'handed over, and what was meanwhile is lost',
  },
  {
    name: 'forgets a batch that failed',
    file: 'cluster/topics/outbox.ts',
    snippet: '(error) => this.#failed(line, error),',
    replacement: '() => this.#published(line),',
    scenario: 'lost commands',
  },
]
