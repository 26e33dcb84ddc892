/**
 * A random number from 0 up to 1 that depends only on the three arguments. So the fate of the third request is the same,
 * whatever other faults are on and whatever happens on other connections.
 */
export function draw(seed: number, name: string, index: number): number {
  let hash = mix(seed)
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return mix(mix(hash) + Math.imul(index + 1, 0x9e3779b1)) / 2 ** 32
}

/** The finalizer of MurmurHash3: each bit of the result depends on all bits of the value. */
function mix(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
