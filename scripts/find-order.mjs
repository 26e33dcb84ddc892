// Looks for an order of the modules in which the browser's file is smaller, and prints it for scripts/browser-file.mjs:
// `node scripts/find-order.mjs [seconds] [seed]`. A module, or a few, go to another place; that is kept where the file became smaller.
import { gzipSync } from 'node:zlib'
import { makeScript, order, words } from './browser-file.mjs'

const [seconds = 240, seed = 1] = process.argv.slice(2).map(Number)
const end = performance.now() + seconds * 1000
let state = seed

/** @param {number} limit */
function below(limit) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
  return (state >> 8) % limit
}

/** @param {readonly string[]} modules */
async function sizeOf(modules) {
  const { code = '' } = await makeScript(modules)
  return gzipSync(code, { level: 9 }).length
}

let best = words(order)
let least = await sizeOf(best)
console.log(`${least} bytes now`)
while (performance.now() < end) {
  const tried = [...best]
  const moved = tried.splice(below(tried.length), 1 + (below(3) === 0 ? 1 : 0))
  tried.splice(below(tried.length + 1), 0, ...moved)
  const size = await sizeOf(tried)
  if (size > least) continue
  if (size < least) console.log(`${size} bytes: ${tried.join(' ')}`)
  best = tried
  least = size
}
