// Takes the client's part of a conversation in the runtime that runs this, and prints what came of it.
// `node test/e2e/converse-here.mjs <entry> <url> <options as JSON>`
import { converse } from '../support/converse.mjs'

const [entry = '', url = '', options = '{}'] = process.argv.slice(2)
const { WebSocket } = await import(entry)
console.log(JSON.stringify(await converse(WebSocket, url, JSON.parse(options))))
// What runs tasks in a page would keep a process alive.
process.exit()
