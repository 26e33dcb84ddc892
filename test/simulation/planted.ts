/**
 * Bugs that the simulation must find. Each is a snippet of shared/ and what it is replaced by in a copy made for the test:
 * the source itself knows nothing of it.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Everwire } from './world.ts'

interface Bug {
  readonly name: string
  readonly file: 'session' | 'snapshot' | 'carry' | 'message'
  readonly snippet: string
  readonly replacement: string
}

export const bugs: readonly Bug[] = [
  {
    name: 'no replay on a carrier that takes over from a living one',
    file: 'session',
    snippet: '    this.link = link\n    this.epoch = link.epoch\n    this.#rewind(link)',
    replacement:
      '    const older = this.link\n    this.link = link\n    this.epoch = link.epoch\n    if (older) link.sent = older.sent; else this.#rewind(link)',
  },
  {
    name: 'no replay on a carrier that survived another',
    file: 'session',
    snippet: '    this.link = link\n    this.epoch = link.epoch\n    this.#rewind(link)',
    replacement:
      '    const older = this.link\n    this.link = link\n    this.epoch = link.epoch\n    if (older) this.#rewind(link); else link.sent = this.lastNumber',
  },
  {
    name: 'acknowledges one too many',
    file: 'session',
    snippet: `return { kind: 'ack', payload: \`\${this.taken}\` }`,
    replacement: `return { kind: 'ack', payload: \`\${this.taken + 1}\` }`,
  },
  {
    name: 'says to have one too few',
    file: 'session',
    snippet: 'return { number: this.taken, offset: this.partialSize }',
    replacement: 'return { number: Math.max(this.taken - 1, 0), offset: this.partialSize }',
  },
  {
    name: 'takes the last message twice',
    file: 'session',
    snippet: 'if (link.got <= this.taken) {',
    replacement: 'if (link.got < this.taken) {',
  },
  {
    name: 'takes the last message twice where places are told',
    file: 'session',
    snippet: 'if (number <= this.taken) {',
    replacement: 'if (number < this.taken) {',
  },
  {
    name: 'does not acknowledge what was repeated',
    file: 'session',
    snippet: 'if (link.got <= this.taken) {\n      this.#oweAck(0, now)',
    replacement: 'if (link.got <= this.taken) {',
  },
  {
    name: 'ignores the offset of a piece',
    file: 'session',
    snippet: 'const skip = have - at.offset',
    replacement: 'const skip = 0',
  },
  {
    name: 'takes what lies behind a gap',
    file: 'session',
    snippet: 'if (number > this.taken + 1 || at.offset > have) return false',
    replacement: 'if (at.offset > have) return false',
  },
  {
    name: 'keeps part of a message that came whole over a WebSocket',
    file: 'session',
    snippet: '    this.#forgetPartial()\n    this.#accept(kind, data, now)',
    replacement: '    this.#accept(kind, data, now)',
  },
  {
    name: 'does not number the close',
    file: 'session',
    snippet: 'this.taken++',
    replacement: "if (kind !== 'close') this.taken++",
  },
  {
    name: 'uses a carrier older than the newest',
    file: 'session',
    snippet: "if (link.epoch < this.epoch) return 'older'",
    replacement: '',
  },
  {
    name: 'does not go back when asked to',
    file: 'session',
    snippet: 'if (this.link === link) this.#rewind(link)',
    replacement: '',
  },
  {
    name: 'leaves out what was acknowledged meanwhile',
    file: 'session',
    snippet: '    return this.outgoing.at(link.sent - this.base) ?? blank',
    replacement:
      '    link.sent = Math.max(link.sent, this.base)\n    return this.outgoing.at(link.sent - this.base)',
  },
  {
    name: 'does not answer a close',
    file: 'session',
    snippet: 'if (!this.ownClose) this.#sendClose(code, reason, now)\n      else',
    replacement: 'if (!this.ownClose && !this.over) this.#sendClose(code, reason, now)\n      else',
  },
  {
    name: 'is done before its own close has arrived',
    file: 'session',
    snippet: 'else if (this.base >= this.ownClose) this.#finish()',
    replacement: 'else this.#finish()',
  },
  {
    name: 'a snapshot that knows the size of a part but not its bytes',
    file: 'snapshot',
    snippet: 'session.partial = from.partial',
    replacement: 'session.partial = new Uint8Array(from.partial.length)',
  },
  {
    name: 'a snapshot without undelivered events',
    file: 'snapshot',
    snippet: "undelivered: undelivered as Snapshot['undelivered']",
    replacement: 'undelivered: []',
  },
  {
    name: 'a snapshot that forgets its own close',
    file: 'snapshot',
    snippet: 'session.ownClose = from.ownClose',
    replacement: '',
  },
  {
    name: 'counts unsent bytes of messages already acknowledged',
    file: 'session',
    snippet: 'if (sent < this.base) this.unsentBytes -= size',
    replacement: '',
  },
  {
    name: 'a replay buffer without a limit',
    file: 'session',
    snippet:
      "if (this.queuedBytes + this.outgoing.length * overhead >= this.limits.maxBuffered) return 'full'",
    replacement: '',
  },
  {
    name: 'writes a cut message from its start again',
    file: 'carry',
    snippet: 'payload.subarray(offset, end)',
    replacement: 'payload.subarray(0, end - offset)',
  },
  {
    name: 'loses the place after a piece',
    file: 'carry',
    snippet: 'if (more) at.offset += payload.length',
    replacement: 'if (more) at.offset = payload.length',
  },
  {
    name: 'tells a close without its reason',
    file: 'message',
    snippet: 'reason: payload.slice(5)',
    replacement: "reason: ''",
  },
]

const entry = fileURLToPath(new URL('./everwire.ts', import.meta.url))

/** A copy of shared/ with this bug in it. */
export async function plant(bug: Bug): Promise<Everwire> {
  let found = 0
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [
      {
        name: 'plant',
        setup({ onLoad }) {
          onLoad({ filter: new RegExp(`[\\\\/]shared[\\\\/]${bug.file}\\.ts$`) }, async ({ path }) => {
            const text = await readFile(path, 'utf8')
            const parts = text.split(bug.snippet)
            found = parts.length - 1
            return { contents: parts.join(bug.replacement), loader: 'ts' }
          })
        },
      },
    ],
  })
  if (found !== 1) throw new Error(`"${bug.name}": its snippet stands ${found} times in ${bug.file}.ts`)
  const text = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')
  return import(/* @vite-ignore */ `data:text/javascript;base64,${text}`)
}
