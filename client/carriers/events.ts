/** Shows an event stream as an answer of `fetch`, so that there is one way to read. */
import type { Answer, NativeEventSource } from '../base/natives.ts'

/** Closes the EventSource at every error: by itself it would ask with the same ticket again. */
export function readEvents(source: NativeEventSource, signal: AbortSignal): Answer {
  const body = new ReadableStream<string>({
    start(controller) {
      source.onmessage = ({ data }) => controller.enqueue(data)
      source.onerror = () => {
        signal.onabort = null
        source.close()
        controller.close()
      }
      signal.onabort = () => {
        source.close()
        controller.error()
      }
    },
  })
  return { status: 200, statusText: '', body }
}
