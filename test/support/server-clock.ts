// The clock of the servers in this process, moved by hand: what they wait for does not depend on how fast the machine is.
import { onTestFinished } from 'vitest'
import { notBooked, type Timed, wakeAt } from '../../server/base/wakeups.ts'

/** Moves it on until the test is through, and waits until whoever was due then has been woken. */
export type MoveOn = (milliseconds: number) => Promise<void>

export function ownServerClock(): MoveOn {
  const { now } = performance
  let ahead = 0
  performance.now = () => now.call(performance) + ahead
  onTestFinished(() => {
    performance.now = now
  })
  return (milliseconds) => {
    ahead += milliseconds
    return new Promise((woken) => {
      const last: Timed = { wakeTick: notBooked, wake: () => setImmediate(woken) }
      // Due at once: so the clock looks who else is.
      wakeAt(last, 0)
    })
  }
}
