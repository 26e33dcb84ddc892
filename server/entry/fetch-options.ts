/** The options of `realtime.fetch`, and their check. */
import { type Check, checkObject } from '../admission/option-checks.ts'

/** The options of `fetch`. */
export interface FetchOptions {
  /** The most clients of the list. Default 1,000. */
  limit?: number | undefined
}

const limit: Check = (value, name) => {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new RangeError(`The option "${name}" must be a whole number of at least 1`)
}

/** How many clients are wanted. Throws for options that are wrong or unknown. */
export function limitOf(options: FetchOptions): number {
  checkObject(options, { limit }, 'fetch()')
  return options.limit ?? 1_000
}
