/** What a rule is. */
import type { Trial } from './trial.ts'

export interface Rule {
  readonly name: string
  /** The section of docs/PROTOCOL.md that it comes from. */
  readonly section: string
  /** What a server does, as a sentence. */
  readonly says: string
  /** It runs when no other rule does, because it needs the server's bounds for one address. */
  readonly alone?: boolean
  readonly run: (trial: Trial) => Promise<void>
}
