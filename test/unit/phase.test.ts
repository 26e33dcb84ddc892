// The table in the head of shared/phase.ts is true: a session changes from phase to phase as its rows say, and in no other way.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import type { Phase } from '../../shared/phase.ts'
import { Session } from '../../shared/session.ts'

const start = 1000
/** After every deadline. */
const late = 1e9

/** What can happen to a session. */
const happenings: readonly ((session: Session) => void)[] = [
  (session) => void session.attach(new Link(session.epoch + 1, 0), session.acknowledged, start),
  (session) => session.link && session.detach(session.link, start),
  (session) => session.link && session.poll(session.link),
  (session) => session.close(1000, '', start),
  (session) => session.fail(1002, 'wrong', start),
  (session) => session.abort(1001, '', start),
  (session) => session.abortArrived(1001, ''),
  (session) => session.receiveAt(session.received, 'close', '1000,', false, start),
  (session) => session.ackArrived({ number: session.lastNumber, offset: 0 }, start),
  (session) => session.handleTimeout(late),
]

/** Writes down each change of phase, and how often the application is told of the end. */
function watched(changes: Set<string>): Session {
  const session = new Session(defaultLimits, start)
  const holder = session as unknown as { phase: Phase }
  let { phase } = holder
  Object.defineProperty(holder, 'phase', {
    get: () => phase,
    set: (next: Phase) => {
      if (next.is !== phase.is) changes.add(`${phase.is} > ${next.is}`)
      phase = next
    },
  })
  return session
}

test('the phases of a session change as the table says', () => {
  const source = readFileSync(new URL('../../shared/phase.ts', import.meta.url), 'utf8')
  const rows = [...source.matchAll(/^ \* \| ([a-z, ]+) \| ([a-z]+) \| /gm)].slice(1)
  const told = rows.flatMap(([, from = '', to]) => from.split(', ').map((one) => `${one} > ${to}`))
  const changes = new Set<string>()
  const steps = 5
  for (let run = 0; run < happenings.length ** steps; run++) {
    const session = watched(changes)
    let ends = 0
    for (let step = 0, rest = run; step < steps; step++, rest = Math.floor(rest / happenings.length)) {
      happenings[rest % happenings.length]?.(session)
      for (let event = session.event(); event; event = session.event()) if (event.type === 'close') ends++
      if (ends !== Number(session.over)) throw new Error(`told ${ends} times of the end, in run ${run}`)
    }
  }
  expect([...changes].sort()).toEqual([...new Set(told)].sort())
})
