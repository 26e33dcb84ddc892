// Finds and ends the processes that a test run has left.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Waits a moment for the processes of a run to end, ends those that do not, and returns them.
 * @param {number} group the process group of the run
 * @param {string} mark a NAME=value in the environment of the run
 * @returns {Promise<string[]>} their command lines
 */
export async function endLeftovers(group, mark) {
  let left = leftovers(group, mark)
  for (let tries = 0; left.length > 0 && tries < 50; tries++) {
    await wait(100)
    left = leftovers(group, mark)
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // The process has ended by itself meanwhile.
    }
  }
  return left.map(({ command }) => command)
}

/**
 * @param {number} group
 * @param {string} mark
 */
function leftovers(group, mark) {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!pid || pid === process.pid) return []
    try {
      // The fields after the name in parentheses: state, parent, group.
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      if (state === 'Z') return []
      const ours =
        Number(pgrp) === group || readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()
      return ours ? [{ pid, command }] : []
    } catch {
      return [] // ended meanwhile, or another user's
    }
  })
}
