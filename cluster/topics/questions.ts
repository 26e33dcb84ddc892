/** Asks all other nodes a question at the same time, and collects the answers that come in time. */
import type { Engine } from '../base/engine.ts'
import type { After } from '../base/retries.ts'

/** What one node may ask another. A node that does not know the question says that it has no answer. */
export type Question =
  /** How many subscribers has the topic there; without a topic, how many clients are there? */
  | { readonly ask: 'count'; readonly topic: string | undefined }
  /** Who are these clients? At most `limit` of them. */
  | { readonly ask: 'clients'; readonly topic: string | undefined; readonly limit: number }
  /** Is the session there? */
  | { readonly ask: 'has'; readonly session: string }
  /** How many clients has the node closed because of the `disconnect` that this publisher published under this number? */
  | { readonly ask: 'closed'; readonly topic: string; readonly publisher: string; readonly seq: number }

export interface Answer {
  readonly node: string
  readonly answer: unknown
}

export interface Answers {
  readonly answers: readonly Answer[]
  /** The names of the nodes that did not answer, or know no answer. */
  readonly missing: readonly string[]
}

export interface QuestionsHost {
  readonly engine: Pick<Engine, 'nodes' | 'tell'>
  /** The name of this node. */
  readonly name: string
  readonly after: After
  /** Undefined: no answer is known. */
  answer(question: Question): unknown
}

/** A node that has not answered within this time does not count. */
export const patience = 1_000

interface Asked {
  readonly waiting: Set<string>
  readonly answers: Answer[]
  /** The nodes that know no answer. */
  readonly unable: string[]
  isEnough(answer: unknown): boolean
  done(): void
}

type Letter =
  | { readonly from: string; readonly id: number; readonly question: Question }
  | { readonly from: string; readonly id: number; readonly answer: unknown }

export class Questions {
  readonly #host: QuestionsHost
  readonly #asked = new Map<number, Asked>()
  #last = 0

  constructor(host: QuestionsHost) {
    this.#host = host
  }

  /** Rejects if the store cannot be asked which nodes there are. `isEnough`: whether no further answer is needed after this one. */
  async ask(question: Question, isEnough: (answer: unknown) => boolean = never): Promise<Answers> {
    const { engine, name, after } = this.#host
    const own = this.#host.answer(question)
    const others = (await engine.nodes()).map((node) => node.name).filter((other) => other !== name)
    const answers: Answer[] = []
    const unable: string[] = []
    const waiting = new Set([name, ...others])
    const id = ++this.#last
    await new Promise<void>((done) => {
      const cancel = after(patience, done)
      this.#asked.set(id, {
        waiting,
        answers,
        unable,
        isEnough,
        done: () => {
          cancel()
          done()
        },
      })
      for (const other of others) this.#send(other, { from: name, id, question })
      void Promise.resolve(own).then((answer) => this.#answered({ from: name, id, answer }))
    })
    this.#asked.delete(id)
    return { answers, missing: [...unable, ...waiting] }
  }

  /** Another node has sent a question or an answer. */
  told(data: Uint8Array): void {
    const letter = read(data)
    if (!letter) return
    if ('question' in letter) void this.#answer(letter.from, letter.id, letter.question)
    else this.#answered(letter)
  }

  async #answer(from: string, id: number, question: Question): Promise<void> {
    const answer = await this.#host.answer(question)
    this.#send(from, { from: this.#host.name, id, answer })
  }

  #answered({ from, id, answer }: { from: string; id: number; answer: unknown }): void {
    const asked = this.#asked.get(id)
    if (!asked?.waiting.delete(from)) return
    if (answer === undefined) asked.unable.push(from)
    else asked.answers.push({ node: from, answer })
    if (asked.waiting.size === 0 || asked.isEnough(answer)) asked.done()
  }

  #send(to: string, letter: Letter): void {
    // A letter that does not arrive has no answer, and `patience` ends the wait.
    this.#host.engine.tell(to, Buffer.from(JSON.stringify(letter))).catch(() => {})
  }
}

function never(): boolean {
  return false
}

function read(data: Uint8Array): Letter | undefined {
  try {
    const letter = JSON.parse(Buffer.from(data).toString()) as Letter
    const isQuestion = 'question' in letter
    if (isQuestion && (typeof letter.question !== 'object' || letter.question === null)) return undefined
    return typeof letter.from === 'string' && typeof letter.id === 'number' ? letter : undefined
  } catch {
    return undefined
  }
}
