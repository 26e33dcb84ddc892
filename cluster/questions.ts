/** What a node asks all others at a time, and their answers, as far as they come in time. */
import type { Engine } from './engine.ts'
import type { After } from './retries.ts'

/** What one node may ask another. Nodes of other versions answer what they do not know with nothing. */
export interface Question {
  readonly ask: 'count'
  readonly topic: string | undefined
}

export interface Answers {
  readonly answers: readonly unknown[]
  /** How many nodes did not answer. */
  readonly missing: number
}

export interface QuestionsHost {
  readonly engine: Pick<Engine, 'nodes' | 'tell'>
  /** The name of this node. */
  readonly name: string
  readonly after: After
  answer(question: Question): unknown
}

/** A node that has not answered within this time does not count. */
const patience = 1_000

interface Asked {
  readonly waiting: Set<string>
  readonly answers: unknown[]
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

  /** Rejects if the store cannot be asked who is there. */
  async ask(question: Question): Promise<Answers> {
    const { engine, name, after } = this.#host
    const others = (await engine.nodes()).map((node) => node.name).filter((other) => other !== name)
    const answers = [this.#host.answer(question)]
    const waiting = new Set(others)
    if (others.length > 0) {
      const id = ++this.#last
      await new Promise<void>((done) => {
        const cancel = after(patience, done)
        this.#asked.set(id, {
          waiting,
          answers,
          done: () => {
            cancel()
            done()
          },
        })
        for (const other of others) this.#send(other, { from: name, id, question })
      })
      this.#asked.delete(id)
    }
    return { answers, missing: waiting.size }
  }

  /** Another node says something. */
  told(data: Uint8Array): void {
    const letter = read(data)
    if (!letter) return
    const { from, id } = letter
    if ('question' in letter) {
      const answer = this.#host.answer(letter.question)
      this.#send(from, { from: this.#host.name, id, answer })
      return
    }
    const asked = this.#asked.get(id)
    if (!asked?.waiting.delete(from)) return
    asked.answers.push(letter.answer)
    if (asked.waiting.size === 0) asked.done()
  }

  #send(to: string, letter: Letter): void {
    // One that does not arrive is one without an answer.
    this.#host.engine.tell(to, Buffer.from(JSON.stringify(letter))).catch(() => {})
  }
}

function read(data: Uint8Array): Letter | undefined {
  try {
    const letter = JSON.parse(Buffer.from(data).toString()) as Letter
    return typeof letter.from === 'string' && typeof letter.id === 'number' ? letter : undefined
  } catch {
    return undefined
  }
}
