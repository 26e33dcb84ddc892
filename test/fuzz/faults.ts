/** What nobody catches is a failure of the run that it comes from. */

export interface Faults {
  /** Throws what was thrown since it was last asked. */
  check(): void
  stop(): void
}

const events = ['uncaughtException', 'unhandledRejection', 'warning'] as const

export function catchFaults(): Faults {
  const others = events.map((event) => process.listeners(event as 'warning'))
  let fault: unknown
  const take = (error: unknown): void => {
    const name = (error as Error | undefined)?.name
    // Of warnings only those count that tell of what is never let go.
    if (name?.endsWith('Warning') && name !== 'MaxListenersExceededWarning') return
    fault ??= error ?? new Error('Nothing was thrown')
  }
  for (const event of events) {
    process.removeAllListeners(event)
    process.on(event, take)
  }
  return {
    check() {
      if (fault === undefined) return
      const thrown = fault
      fault = undefined
      throw thrown
    },
    stop() {
      for (const [i, event] of events.entries()) {
        process.off(event, take)
        for (const one of others[i] ?? []) process.on(event as 'warning', one)
      }
    },
  }
}
