// Servers of a cluster in processes of their own.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ServerStats } from '../../server/index.ts'

/** What a server says of itself. */
export interface Word {
  readonly port?: number
  readonly cluster?: 'up' | 'down'
  readonly shown?: string
  readonly recovered?: boolean
  readonly closed?: string
  readonly gap?: string
  readonly stats?: ServerStats
  /** The number of a message that the application was told, and of which session. */
  readonly told?: number
  readonly of?: string
}

export class NodeProcess {
  readonly child: ChildProcess
  readonly words: Word[] = []
  readonly #exited: Promise<unknown>
  port = 0

  private constructor(env: Readonly<Record<string, string>>, program: string) {
    this.child = fork(fileURLToPath(new URL(program, import.meta.url)), {
      env: { ...process.env, ...env },
    })
    this.#exited = once(this.child, 'exit')
    this.child.on('message', (word) => this.words.push(word as Word))
  }

  /** Starts a server; resolves when it has joined and listens. */
  static async start(env: Readonly<Record<string, string>>, program = 'node.mjs'): Promise<NodeProcess> {
    const node = new NodeProcess(env, program)
    node.port = (await node.says(({ port }) => port !== undefined)).port as number
    return node
  }

  /** Resolves with the next word of this kind, or one that was said already. */
  async says(is: (word: Word) => boolean, from = 0): Promise<Word> {
    for (;;) {
      const word = this.words.slice(from).find(is)
      if (word) return word
      await Promise.race([
        once(this.child, 'message'),
        this.#exited.then(() => {
          throw new Error(`The server has ended. It said ${JSON.stringify(this.words)}`)
        }),
      ])
    }
  }

  async stats(): Promise<ServerStats> {
    const from = this.words.length
    this.child.send({ stats: true })
    return (await this.says(({ stats }) => stats !== undefined, from)).stats as ServerStats
  }

  publish(...data: string[]): void {
    this.child.send({ publish: data })
  }

  /** Sends a signal; with one that ends the process, resolves when it has ended. */
  async signal(name: NodeJS.Signals): Promise<void> {
    this.child.kill(name)
    if (name !== 'SIGSTOP' && name !== 'SIGCONT') await this.#exited
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }
}
