/** A diary for people. */
import { type AnyEntry, wordsOfEntry } from '../shared/diary-words.ts'

/** The diary of a socket: of the client, or of the server. */
export type AnyDiary = readonly AnyEntry[]

/**
 * `socket.diary` as text for people: a line for each entry, with its time. For a log, a bug report, or a console:
 * `console.log(formatDiary(socket.diary))`. Takes the diary of a client and of a server.
 */
export function formatDiary(diary: AnyDiary): string {
  return diary.map((entry) => `${new Date(entry.at).toISOString()} ${wordsOfEntry(entry)}\n`).join('')
}
