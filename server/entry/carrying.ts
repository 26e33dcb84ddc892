/** What middleware has put on a request that another server of the cluster answers, as far as the application wants it there, too. */
import type { IncomingMessage } from 'node:http'
import { isPromise } from '../base/promise.ts'
import { rethrow } from '../base/turn.ts'

/** The option `carry`. */
type Carry = (request: IncomingMessage) => object | undefined

/** The most bytes that go into the header of a passed request. */
const most = 4 * 1024

/** The properties that come along, as JSON; empty for none, or if `carry` throws or gives too much: the application gets that error. */
export function carriedBy(request: IncomingMessage, carry: Carry | undefined): string {
  try {
    const carried = carry?.(request)
    if (carried === undefined) return ''
    if (isPromise(carried)) throw new TypeError('The option "carry" must return an object, and no promise')
    const text = JSON.stringify(carried)
    if (!text.startsWith('{')) throw new TypeError('The option "carry" must return an object')
    if (Buffer.byteLength(text) <= most) return text
    throw new RangeError(`What the option "carry" returns must have at most ${most} bytes as JSON`)
  } catch (error) {
    rethrow(error)
    return ''
  }
}

/** Puts the properties that came along on the request. Properties that Node has put there are not replaced. */
export function takeCarried(request: IncomingMessage, carried: string | undefined): void {
  if (!carried) return
  for (const [name, value] of Object.entries(JSON.parse(carried) as object))
    if (!(name in request))
      Object.defineProperty(request, name, { value, writable: true, configurable: true, enumerable: true })
}
