// `npm start`: installs and builds what is missing, then serves the chat example and prints its address.
import { ensureBuilt } from './build.mjs'
import { ensureInstalled } from './run.mjs'

ensureInstalled()
await ensureBuilt()
await import(new URL('../examples/chat/server.mjs', import.meta.url).href)
