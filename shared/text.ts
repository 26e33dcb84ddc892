/** UTF-8, the same on both ends. */
import type { OwnBytes } from './bytes.ts'

// Pure functions that every runtime has. TypeScript declares them only in libs whose other names must not exist here.
declare const TextEncoder: new () => { encode(text: string): OwnBytes }
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Lone surrogates become U+FFFD, as in a USVString. */
export function encodeText(text: string): OwnBytes {
  return encoder.encode(text)
}

/** Undefined if it is not UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
