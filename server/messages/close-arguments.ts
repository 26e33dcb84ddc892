import { isWireCode, maxReasonBytes } from '../../shared/codes.ts'

/** Throws, as `ws` does, if `close` cannot be called with these. */
export function checkClose(code: number | undefined, reason: string | Buffer = ''): void {
  if (code !== undefined && !(Number.isInteger(code) && isWireCode(code)))
    throw new TypeError('First argument must be a valid error code number')
  if (Buffer.byteLength(String(reason)) > maxReasonBytes) {
    throw new RangeError('The message must not be greater than 123 bytes')
  }
}
