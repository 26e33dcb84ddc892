/** Faults of the run's own between the client and its check: a check that cannot fail shows nothing. */
import type { Plant } from './settings.ts'
import type { Word } from './words.ts'

type Take = (word: Word | undefined) => void

/** The one message of a session that it happens to. */
const chosen = 3

export function planted(plant: Plant | undefined, take: Take): Take {
  if (plant === undefined) return take
  let count = 0
  let held: Word | undefined
  return (word) => {
    const hit = ++count === chosen
    if (hit && plant === 'drop') return
    if (hit && plant === 'swap') {
      held = word
      return
    }
    take(hit && plant === 'spoil' ? undefined : word)
    if (hit && plant === 'double') take(word)
    if (held) take(held)
    held = undefined
  }
}
