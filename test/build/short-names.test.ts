// The build refuses to shorten a name that the platform, an application or the other end uses in full.
import { beforeAll, describe, expect, test } from 'vitest'
import { checkShortNames, faultsOfShortNames } from '../../scripts/short-names.mjs'

/** Properties of everwire's own objects. The application knows two of them as members of other objects, reached in quotes. */
const own = ['flush', 'standby', 'session', 'sound']
/** Members of the DOM that everwire does not use. */
const unused = ['hidden', 'innerHTML']

const planted: readonly (readonly [what: string, name: string, fault: RegExp])[] = [
  ['a member of the DOM that the client reads', 'visibilityState', /'visibilityState' .*'Document'/],
  ['a member of the DOM that the client calls', 'getReader', /'getReader' .*'ReadableStream</],
  ['an option of the DOM that the client sets', 'withCredentials', /'withCredentials' .*'EventSourceInit'/],
  ['an optional member that the client passes on to the DOM', 'keepalive', /'RequestInit'.*'keepalive'/],
  ['a member of the DOM by an interface of ours', 'bufferedAmount', /'bufferedAmount' .*'NativeSocket'/],
  ['a member that the client describes in a cast', 'connection', /'connection' belongs to an object/],
  ['a member that the client looks for', 'arrayBuffer', /'arrayBuffer' belongs to an object/],
  ['a member of the language', 'byteLength', /'byteLength' .*'Uint8Array/],
  ['what the language calls by itself', 'toString', /'toString' belongs to JavaScript/],
  ['a public option', 'maxBuffered', /'maxBuffered' .*'WebSocketOptions'/],
  ['a member of a public option', 'min', /'min' .*'RaceDelay'/],
  ['a member of the public class', 'diary', /'diary' belongs to the public class WebSocket/],
  ['a handler of the public class', 'ontransportchange', /'ontransportchange' belongs to the public class/],
  ['a member of a public type', 'purpose', /'purpose' .*'CarrierEntry'/],
  ["a member of the protocol's JSON", 'heartbeat', /'heartbeat' .*'Welcome'/],
  ['a member of what is kept for the next visit', 'roundTrip', /'roundTrip' .*'Known'/],
]

test('names of everwire alone may be short, though the DOM has members with such names', () => {
  expect(faultsOfShortNames([...own, ...unused])).toEqual([])
})

describe('refused', () => {
  let faults: string

  beforeAll(() => {
    faults = faultsOfShortNames([...own, ...planted.map(([, name]) => name)]).join('\n')
  })

  test.each(planted)('%s: %s', (_what, _name, fault) => {
    expect(faults).toMatch(fault)
  })
})

test('the build says which name, whose it is, and what to do', () => {
  expect(() => checkShortNames([...own, 'readyState'])).toThrow(
    /'readyState' belongs to the public class WebSocket(?:.|\n)*Take the name out of internalNames/,
  )
})
