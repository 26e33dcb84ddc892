/** Counts each change of phase that a session or a pilot goes through, so that a test can ask whether all were reached. */
import type { World } from './world.ts'

interface Phased {
  phase: { readonly is: string }
}

/** Watches from now on. An object whose phase nobody can see (a class that was opened) is left as it is. */
export function watchPhases(world: World, name: string, watched: object | undefined): void {
  if (!watched || !('phase' in watched)) return
  const holder = watched as Phased
  let { phase } = holder
  Object.defineProperty(holder, 'phase', {
    get: () => phase,
    set: (next: Phased['phase']) => {
      // Not in the trace: the same run with opened classes has the same trace.
      const change = `${name}: ${phase.is} > ${next.is}`
      if (next.is !== phase.is) world.counts.set(change, (world.counts.get(change) ?? 0) + 1)
      phase = next
    },
  })
}
