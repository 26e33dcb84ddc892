// The build shortens tags in the browser's file, and refuses a tag that somebody else reads.
import { expect, test } from 'vitest'
import { faultsOfTags, shortenTags } from '../../scripts/short-tags.mjs'

test('a tag is short wherever it stands, and everything stays at its place', () => {
  const text = "let state: 'opening' | 'used' = 'used' // opening\nsay('opening hours', `'used-up'`)\n"
  const short = shortenTags(text, ['opening', 'used'])
  expect(short).toBe("let state: '0'       | '1'    = '1'    // opening\nsay('opening hours', `'used-up'`)\n")
})

test.each([
  ['message', 'the platform'],
  ['ended', 'the platform'],
  ['doubt', 'client/base/types.ts'],
  ['superseded', 'client/base/why.ts'],
  ['sound', 'client/base/types.ts'],
  ['InvalidStateError', 'client/socket/websocket-class.ts'],
  ['welcome', 'shared/frame.ts'],
])('refused: %s is a word of %s', (tag, of) => {
  expect(faultsOfTags(['opening', tag])).toContain(`'${tag}' is a word of ${of}`)
  expect(faultsOfTags(['opening'])).toEqual([])
})
