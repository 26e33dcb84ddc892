// `npm start`: installs and builds what is missing, then serves the chat example and prints its address.
import { ensureBuilt } from './build.mjs'
import { ensureInstalled } from './run.mjs'

// A signal to npm ends the shell between npm and this process, and not this process. So it ends itself when its parent is gone.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) process.exit()
}, 250).unref()

ensureInstalled()
await ensureBuilt()
await import(new URL('../examples/chat/server.mjs', import.meta.url).href)
