// What an application's own fault comes to.
import { onTestFinished } from 'vitest'

/** The next error that the process hears of, and survives. */
export function uncaught(): Promise<Error> {
  return new Promise((resolve) => {
    const restore = () => process.setUncaughtExceptionCaptureCallback(null)
    onTestFinished(restore)
    process.setUncaughtExceptionCaptureCallback((error) => {
      restore()
      resolve(error)
    })
  })
}
