/** A diary for people, while it is written. */
import { type AnyEntry, beginWords, endWords, span, wordsOfEntry } from '../shared/diary-words.ts'

/** What the diary is looked at for. Entries say when they were made, so a line that comes later says so, too. */
const lookEvery = 100
const closed = 3

/** A socket whose diary can be read: of the client, or of the server. */
interface WithDiary {
  readonly diary: readonly AnyEntry[]
  readonly readyState: number
}

/**
 * Calls `write` with a line for each decision of a socket, as `NODE_DEBUG=everwire` writes them in Node: first with what has
 * happened so far, then within 100 ms. It ends by itself when the socket is closed. Returns a function that ends it before.
 */
export function logDiary(
  socket: WithDiary,
  // biome-ignore lint/suspicious/noConsole: where a page is looked into.
  write: (line: string) => void = console.log,
): () => void {
  let written = new Set<string>()
  const look = (): void => {
    const moments = socket.diary.flatMap(momentsOf).sort((one, other) => one.at - other.at)
    const fresh = moments.filter(({ key }) => !written.has(key))
    written = new Set(moments.map(({ key }) => key))
    // What a closed socket leaves behind ends a little later.
    if (fresh.length === 0 && socket.readyState === closed) stop()
    for (const { at, words } of fresh) write(`${new Date(at).toISOString()} ${words}`)
  }
  const timer: unknown = setInterval(look, lookEvery)
  // In Node: whoever only looks keeps no process.
  ;(timer as { unref?(): void }).unref?.()
  const stop = (): void => clearInterval(timer as number)
  look()
  return stop
}

/** What gets a line of its own. */
interface Moment {
  /** The same each time, also if the words have changed: a server learns the name of a transport later. */
  readonly key: string
  readonly at: number
  readonly words: string
}

function momentsOf(entry: AnyEntry): Moment[] {
  const { at } = entry
  if (entry.type !== 'carrier') {
    const words = wordsOfEntry(entry)
    return [{ key: `${at} ${words}`, at, words }]
  }
  const { epoch, transport, proven, sound, ended } = entry
  const name = beginWords({ type: 'carrier', at, transport, epoch })
  const steps: [number | undefined, string][] = [
    [0, `${beginWords(entry)}: begins`],
    [proven, `${name}: an answer came back after ${span(proven ?? 0)}`],
    [sound, `${name}: gets through in both directions after ${span(sound ?? 0)}`],
    [ended, `${name}: ${endWords(entry)}`],
  ]
  return steps.flatMap(([after, words], step) =>
    after === undefined ? [] : { key: `${at} ${epoch} ${step}`, at: at + after, words },
  )
}
