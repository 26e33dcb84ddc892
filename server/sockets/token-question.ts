/** `askToken()` of a socket: who the client is now. */
import type { Session } from '../../shared/session.ts'
import { deadline } from '../base/wakeups.ts'

/** How long to wait for the answer by default, also while the client has no connection. */
const defaultWithin = 30_000

export interface AskTokenOptions {
  /** How long to wait for the answer, in milliseconds. 0: until the session ends. Default 30,000. */
  readonly within?: number | undefined
}

/** A question that is asked again over each carrier until it is answered, or its time is over. */
export class TokenQuestion {
  readonly answered: Promise<string | undefined>
  isOpen = true
  readonly #session: Session
  #resolve: (token: string | undefined) => void = () => {}
  readonly #timer: NodeJS.Timeout | undefined

  constructor(session: Session, { within = defaultWithin }: AskTokenOptions) {
    this.#session = session
    this.answered = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#timer = deadline(within, () => this.answer(''))
  }

  ask(): void {
    const { link } = this.#session
    if (link && this.isOpen) link.tokenOwed = ''
  }

  /** Empty: the client has no token, or does not say. */
  answer(token: string): void {
    const { link } = this.#session
    if (link) link.tokenOwed = undefined
    this.isOpen = false
    clearTimeout(this.#timer)
    this.#resolve(token || undefined)
  }
}
