/** Reads an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html, as much of it as a server of everwire writes. */
import { maxRecord } from '../../shared/limits.ts'

const lineFeed = 10
/** The longest line: an event has about one record, in base64. A server that never ends a line must not fill the memory. */
const maxLine = 4 * maxRecord

/** Decodes the base64 in the data of events, each event by itself. */
export class EventDecoder {
  /** The pieces of a line that has not ended. */
  #rest: Buffer[] = []
  #size = 0

  push(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(lineFeed)
    if (end < 0) {
      this.#rest.push(chunk)
      this.#size += chunk.length
      if (this.#size > maxLine) throw new Error('An event is too large')
      return Buffer.alloc(0)
    }
    const lines = Buffer.concat([...this.#rest, chunk.subarray(0, end)]).toString('latin1')
    this.#rest = [chunk.subarray(end + 1)]
    this.#size = chunk.length - end - 1
    // Characters that are not base64, such as a space or a carriage return, are ignored.
    return Buffer.concat(
      lines
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => Buffer.from(line.slice('data:'.length), 'base64')),
    )
  }
}
