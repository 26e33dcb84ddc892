// The installed command, run as a user runs it: what it prints and its exit codes.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { examine } from 'everwire/doctor'
import { WebSocketServer } from 'everwire/server'

const command = join('node_modules', '.bin', 'everwire')

/** Resolves with the exit code and what was printed. */
const everwire = (...args) =>
  new Promise((resolve) => {
    execFile(command, args, { shell: process.platform === 'win32' }, (error, out, err) => {
      resolve({ code: error ? error.code : 0, out, err })
    })
  })

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
await once(server, 'listening')
server.on('connection', () => assert.fail('the application was shown a client'))
const { port } = server.address()
const url = `http://127.0.0.1:${port}/`

const [looked, printed, version, wrong, report] = await Promise.all([
  everwire('doctor', url, '--json'),
  everwire('doctor', url),
  everwire('--version'),
  everwire('doctor'),
  examine(url, { duration: 3_500 }),
])
assert.equal(looked.code, 0, looked.err)
assert.equal(JSON.parse(looked.out).plan.starts, 'websocket')
assert.equal(printed.code, 0, printed.err)
assert.match(printed.out, /^WebSocket +yes/m)
assert.match(version.out, /^\d+\.\d+\.\d+/)
assert.equal(wrong.code, 2)
assert.equal(report.plan.starts, 'websocket')

const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
await once(echo, 'listening')
echo.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(isBinary ? data : String(data)))
})
const conforms = await everwire('conformance', `http://127.0.0.1:${echo.address().port}/`, '--only', 'echo')
assert.equal(conforms.code, 0, conforms.err)
assert.match(conforms.out, /^ok {4}echo-websocket \(2\.3\)$/m)
for (const socket of echo.clients) socket.terminate()
echo.close()

server.close()
await once(server, 'close')
const nobody = await everwire('doctor', url)
assert.equal(nobody.code, 1, nobody.err)
