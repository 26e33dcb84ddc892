/**
 * What is remembered of how each transport fared: evidence that is outlived, never a verdict. A transport that fails rests
 * for a while that grows with each failure; it is still tried when nothing else is left.
 */
import type { Transport } from './types.ts'

/** How much a failure says. It got through and was lost soon: once is nothing. */
export const weak = 0.5
/** It did not get through. */
export const plain = 1
/** It seemed to get through and did not: to try it again costs a pause. */
export const strong = 7

const firstRest = 1000
const longestRest = 60_000

export class TransportMemory {
  #known = new Map<Transport, { weight: number; restsUntil: number }>()

  failed(transport: Transport, weight: number, now: number): void {
    weight += this.#known.get(transport)?.weight ?? 0
    const rest = weight < 1 ? 0 : Math.min(firstRest * 2 ** (weight - 1), longestRest)
    this.#known.set(transport, { weight, restsUntil: now + rest })
  }

  /** It has served for long. */
  worked(transport: Transport): void {
    this.#known.delete(transport)
  }

  restsUntil(transport: Transport): number {
    return this.#known.get(transport)?.restsUntil ?? 0
  }
}
