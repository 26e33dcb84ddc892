// Finds and ends what a test run left running.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Gives the processes of a run a moment to end, ends those that do not, and names them.
 * @param {number} group the process group the run had
 * @param {string} mark a NAME=value that the run had in its environment
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
      // It ended by itself in the meantime.
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
      // After the name in parentheses: state, parent, group.
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
