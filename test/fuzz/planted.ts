/**
 * Bugs that the runs must find. Each is a snippet of the source and what it is replaced by in a copy made for the test:
 * the source itself knows nothing of it.
 */
import { type PlantedBug, withBug } from '../support/plant.ts'
import type { KindName } from './run.ts'
import type { Everwire } from './world.ts'

interface Bug extends PlantedBug {
  /** Which runs are to find it. */
  readonly kind: KindName
}

export const bugs: readonly Bug[] = [
  {
    name: 'a pong of any length',
    kind: 'bodies',
    file: 'server/entry/diagnostics.ts',
    snippet: "if (readControl(record)) writeRecord(to, 'pong', record.payload)",
    replacement: "writeRecord(to, 'pong', record.payload)",
  },
  {
    name: 'a close code that may not be on the wire',
    kind: 'frames',
    file: 'shared/frame.ts',
    snippet: '(code === alsoCode || isWireCode(code)) &&',
    replacement: '',
  },
  {
    name: 'an offset that throws',
    kind: 'bodies',
    file: 'shared/session.ts',
    snippet: 'if (skip > data.length || (skip === data.length && more)) return true',
    replacement: "if (skip > data.length) throw new RangeError('offset')",
  },
  {
    name: 'a pong before the welcome',
    kind: 'controls',
    file: 'client/carriers/websocket.ts',
    snippet: "this.#welcome ? kind === 'welcome' : !early.test(kind as string)",
    replacement: 'false',
  },
  {
    name: 'a handshake that takes the connection of a request before it',
    kind: 'raw',
    file: 'server/entry/server.ts',
    snippet: 'if (isBehindAnother(request, request.socket)) {',
    replacement: 'if (false) {',
  },
]

/** A copy of everwire with this bug in it. */
export const plant = (bug: Bug): Promise<Everwire> => withBug('test/fuzz/everwire.ts', bug)
