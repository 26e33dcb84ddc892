/** An answer that comes whole or not at all, as what fetch gives, where that knows no streams. */
import type { Answer } from '../platform.ts'

export function wholeAnswer(
  { status, statusText }: { readonly status: number; readonly statusText: string },
  bytes: ArrayBuffer | Promise<ArrayBuffer> | undefined,
): Answer {
  const read = async () => {
    const all = await bytes
    bytes = undefined
    return { value: all && new Uint8Array(all) }
  }
  return { status, statusText, body: { getReader: () => ({ read }) } }
}
