// The pilot asks the application who it is before it dials.
import { describe, expect, test } from 'vitest'
import type { Why } from '../../client/base/why.ts'
import { Flight } from './flight.ts'

const withToken = { token: 'a', raceDelay: 300 }
const noToken: Why = { is: 'network', text: 'signed out' }

const carried = (): Flight => {
  const flight = new Flight(['websocket', 'polling'], withToken)
  flight.token()
  flight.proven(1)
  flight.link(1).sound = true
  flight.pass(1000)
  flight.done = []
  return flight
}

describe('opening', () => {
  test('nothing is dialed before the answer, and the race begins with it', () => {
    const flight = new Flight(['websocket', 'polling'], withToken)
    flight.pass(5000)
    expect(flight.done).toEqual(['ask for a token'])
    flight.token()
    flight.pass(299)
    expect(flight.done).toEqual(['ask for a token', 'dial websocket 1 open'])
    flight.pass(1)
    expect(flight.done.slice(2)).toEqual(['dial polling 2 open standby'])
  })

  test('an application that fails, and one that never answers, end it', () => {
    const failing = new Flight(undefined, withToken)
    failing.token(noToken)
    expect(failing.done).toEqual(['ask for a token', 'give up token: signed out'])
    const silent = new Flight(undefined, withToken)
    silent.pass(9999)
    expect(silent.done).toEqual(['ask for a token'])
    silent.pass(1)
    expect(silent.done).toEqual(['ask for a token', 'give up token: timeout'])
    silent.token()
    expect(silent.pilot.phase.is).toBe('over')
    expect(silent.links).toEqual([])
  })

  test('an answer that comes after close() dials nothing', () => {
    const flight = new Flight(undefined, withToken)
    flight.session.abort(1006, '', flight.now)
    flight.drain()
    flight.token()
    expect(flight.links).toEqual([])
  })
})

describe('afterwards', () => {
  test('each round asks anew; what fails is tried again after pauses, within patience', () => {
    const flight = carried()
    flight.lost(1, { is: 'superseded' })
    flight.pass(0)
    expect(flight.done).toEqual(['close 1: superseded, by the server', 'change', 'ask for a token'])
    flight.done = []
    flight.token(noToken)
    flight.pass(499)
    expect(flight.done).toEqual([])
    flight.pass(1)
    expect(flight.done).toEqual(['ask for a token'])
    flight.token()
    flight.lost(2)
    flight.done = []
    flight.pass(1000)
    expect(flight.done).toEqual(['ask for a token'])
  })

  test('a carrier in doubt that answers needs no token', () => {
    const flight = carried()
    flight.sign('visible')
    flight.pass(300)
    expect(flight.done).toContain('ask for a token')
    flight.answered(1)
    flight.token()
    flight.pass(1000)
    expect(flight.links).toHaveLength(1)
    expect(flight.pilot.phase.is).toBe('carried')
  })

  test('a better transport is dialed with a token of its own, or rarely if there is none: the session works', () => {
    const flight = new Flight(['websocket', 'polling'], withToken)
    flight.token()
    flight.lost(1)
    flight.proven(2)
    flight.network.moved()
    flight.done = []
    flight.pass(1000)
    expect(flight.done).toEqual(['ask for a token'])
    flight.token(noToken)
    flight.pass(10_000)
    flight.heard(2)
    flight.pass(9_999)
    expect(flight.done).toEqual(['ask for a token'])
    flight.pass(1)
    flight.token()
    expect(flight.done).toEqual(['ask for a token', 'ask for a token', 'dial websocket 3 better standby'])
  })

  test('what another socket learns while a token is awaited does not change which transport is dialed', () => {
    const flight = new Flight(['websocket', 'polling'], withToken)
    flight.token()
    flight.lost(1)
    flight.proven(2)
    flight.network.moved()
    flight.pass(1000)
    flight.network.failed('websocket', 1)
    flight.done = []
    flight.token()
    expect(flight.done).toEqual(['dial websocket 3 better standby'])
  })
})
