/** The options of `realtime.close` and `realtime.drain`, and their checks. */
import { isWireCode, maxReasonBytes } from '../../shared/codes.ts'
import { type Check, checkObject, number } from '../admission/option-checks.ts'
import { longestDelay } from '../base/wakeups.ts'

/** The options of `close` for a deploy. */
export interface CloseOptions {
  /** The code that the clients get. Default 1012: the service restarts. */
  code?: number | undefined
  /** The reason that the clients get. Default: none. */
  reason?: string | undefined
  /** The time that the whole may take, in milliseconds. Default 10,000. */
  within?: number | undefined
}

/** The options of `drain`. */
export interface DrainOptions {
  /** The time over which the clients are spread, in milliseconds; for a store that is away `drain` waits as long again. Default 10,000. */
  within?: number | undefined
}

const within: Check = (value, name) => {
  number(value, name)
  if ((value as number) > longestDelay)
    throw new RangeError(`The option "${name}" must be at most ${longestDelay}`)
}

/** Throws for options of `drain` that are wrong or unknown. */
export function checkDrainOptions(options: DrainOptions): void {
  checkObject(options, { within }, 'drain()')
}

/** Throws for options that are wrong or unknown. */
export function checkCloseOptions(options: CloseOptions): void {
  checkObject(
    options,
    {
      code: (code, name) => {
        if (!Number.isInteger(code) || !isWireCode(code as number))
          throw new TypeError(`The option "${name}" must be a close code: 1000 to 1014, or 3000 to 4999`)
      },
      reason: (reason, name) => {
        if (typeof reason !== 'string' || Buffer.byteLength(reason) > maxReasonBytes)
          throw new TypeError(`The option "${name}" must be a string of at most ${maxReasonBytes} bytes`)
      },
      within,
    },
    'close()',
  )
}
