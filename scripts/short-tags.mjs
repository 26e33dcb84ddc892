/**
 * Writes tags short in the browser's file: strings that everwire's own code compares with each other, and that nobody else sees.
 *
 * No type tells a tag from a word for people or for a peer. So a tag must stand nowhere where such words stand: not in the
 * declarations of the platform, where the DOM's event types and states are; not among the public types and the reasons that
 * the diary shows; not in the protocol. The build fails for one that does.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.mjs'
import { platformTypes } from './short-names.mjs'

/** Where others' words stand. */
const publicFiles = [
  'client/base/natives.ts',
  'client/base/types.ts',
  'client/base/why.ts',
  'client/pilot/diary.ts',
  'client/socket/websocket-class.ts',
  'docs/PROTOCOL.md',
  'shared/codes.ts',
  'shared/frame.ts',
]

/**
 * @param {readonly string[]} tags
 * @returns {string[]} what is wrong with them, a line each
 */
export function faultsOfTags(tags) {
  const texts = publicFiles.map((file) => ({ of: file, text: readFileSync(join(root, file), 'utf8') }))
  return [{ of: 'the platform', text: platformTypes() }, ...texts].flatMap(({ of, text }) =>
    tags
      .filter((tag) => new RegExp(`(['"\`])${tag}\\1|^ *(?:readonly )?${tag}\\??:`, 'm').test(text))
      .map((tag) => `'${tag}' is a word of ${of}`),
  )
}

/**
 * @param {string} text a module
 * @param {readonly string[]} tags
 * @returns {string} the module with these tags short; blanks keep everything at its place
 */
export function shortenTags(text, tags) {
  return text.replace(/(?<![\w`'"])'(\w+)'/g, (all, word) => {
    const at = tags.indexOf(word)
    return at < 0 ? all : `'${at.toString(36)}'`.padEnd(all.length)
  })
}
