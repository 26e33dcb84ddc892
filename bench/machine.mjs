// Where figures come from.
import { cpus } from 'node:os'
import { versions } from './peers.mjs'

export function machine() {
  const found = cpus()
  return {
    cpu: `${found.length} × ${found[0]?.model.trim()}`,
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    versions: versions(),
  }
}

export function printMachine({ cpu, system, node, versions: found }) {
  console.log(`${cpu}, ${system}, Node ${node}`)
  console.log(
    Object.entries(found)
      .map((pair) => pair.join(' '))
      .join(', '),
  )
}

/** How many files a process may open. */
export function openFiles() {
  const limit = process.report?.getReport().userLimits?.open_files?.soft
  return Number.isFinite(limit) ? limit : 1_000_000
}
