// How a carrier over HTTP reads an answer: in pieces where there are streams, otherwise at once - and in either case only once.
import { expect, test } from 'vitest'
import type { Answer } from '../../client/base/natives.ts'
import { Lane } from '../../client/carriers/lane.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import { writeAnswerHead } from '../../shared/exchange.ts'

const place = { number: 300, offset: 0 }

function head(): Uint8Array<ArrayBuffer> {
  const to = new ByteWriter()
  writeAnswerHead(to, { status: 0, has: place, at: place })
  return to.whole()
}

/** An answer without a stream. Nobody has a reason to read it twice: then it throws. */
function whole(bytes: Uint8Array<ArrayBuffer>): Answer {
  let reads = 0
  return {
    status: 200,
    statusText: 'OK',
    arrayBuffer: () =>
      reads++ ? Promise.reject(new Error('read again')) : Promise.resolve(bytes.slice().buffer),
  }
}

function streamed(bytes: Uint8Array<ArrayBuffer>): Answer {
  const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte))
  const read = () => Promise.resolve({ value: pieces.shift() })
  return { status: 200, statusText: 'OK', body: { getReader: () => ({ read }) } }
}

const all = head()

test.each([
  ['whole', whole],
  ['streamed', streamed],
] as const)(
  '%s: an answer that is cut anywhere in its head, or empty, is read once and has failed',
  async (_, answer) => {
    for (let size = 0; size <= all.length; size++) {
      const lane = new Lane(() => {})
      let heard = 0
      const why = await lane.run(
        () => answer(all.slice(0, size)),
        (reader, chunk) => {
          heard += chunk.length
          reader.push(chunk)
        },
      )
      expect([size, why, heard]).toEqual([size, size < all.length ? { is: 'truncated' } : undefined, size])
    }
  },
)
