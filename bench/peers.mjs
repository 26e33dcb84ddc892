// Where the peers come from: `ws` is the library's own dependency, the others are installed beside this file.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const own = new URL('../', import.meta.url)
const here = new URL('./', import.meta.url)

/** The very `ws` that everwire itself uses. */
export const ws = createRequire(new URL('package.json', own))('ws')

export function versions() {
  const version = (folder) => JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).version
  const peer = (name) => [name, version(new URL(`node_modules/${name}/`, here))]
  return {
    everwire: version(own),
    ws: version(new URL('node_modules/ws/', own)),
    ...Object.fromEntries(
      ['socket.io', 'socket.io-client', 'engine.io', 'engine.io-client', 'sockjs', 'sockjs-client'].map(peer),
    ),
  }
}

/** The contents of a file that a browser would load. */
export function browserFile(name, path) {
  return readFileSync(
    new URL(name === 'everwire' ? path : `node_modules/${name}/${path}`, name === 'everwire' ? own : here),
  )
}
