/** All rules, in the order of the document. */
import type { Rule } from '../rule.ts'
import { closes } from './closes.ts'
import { exchanges } from './exchanges.ts'
import { handshake } from './handshake.ts'
import { messages } from './messages.ts'
import { probes } from './probes.ts'
import { refusals } from './refusals.ts'
import { repeated } from './repeated.ts'
import { streams } from './streams.ts'
import { tokenRules } from './tokens.ts'

export const rules: readonly Rule[] = [
  ...handshake,
  ...messages,
  ...tokenRules,
  ...exchanges,
  ...repeated,
  ...streams,
  ...closes,
  ...refusals,
  ...probes,
]
