// Child processes that answer calls: every server and the load generator run in one of their own.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Calls to a child end after this long at the latest, so that nothing that hangs can stop a run. */
const callTimeout = 600_000

/** Starts a file beside this one; `call` runs one of the functions that it gave to `serve`. `options`: execArgv, env. */
export function startProcess(file, args = [], options = {}) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    ...options,
    // What a child prints is no part of the report.
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const waiting = new Map()
  let serial = 0
  let ended = false
  const exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      ended = true
      for (const { reject } of waiting.values())
        reject(new Error(`${file} ${args.join(' ')} ended: ${signal ?? code}`))
      waiting.clear()
      resolve()
    })
  })
  child.on('message', ({ id, result, error }) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error !== undefined) call?.reject(new Error(`${file} ${args.join(' ')}: ${error}`))
    else call?.resolve(result)
  })

  return {
    call(method, params = {}) {
      if (ended) return Promise.reject(new Error(`${file} has ended`))
      const id = ++serial
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id)
          reject(new Error(`${file} ${args.join(' ')}: no answer to ${method}`))
        }, callTimeout)
        const settle = (end) => (value) => {
          clearTimeout(timer)
          end(value)
        }
        waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
        child.send({ id, method, params })
      })
    },
    async stop() {
      if (ended) return
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exited
      clearTimeout(timer)
    },
  }
}

/** The child's side. It ends with its parent, however that ended. */
export function serve(functions) {
  process.on('disconnect', () => process.exit())
  process.on('message', async ({ id, method, params }) => {
    let answer
    try {
      answer = { id, result: await functions[method](params) }
    } catch (error) {
      answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    if (process.connected) process.send?.(answer)
  })
}
