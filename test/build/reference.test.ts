// The check of docs/API.md: what it finds in a small package, and that it says what to write.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { publicNames } from '../../scripts/public-names.mjs'
import { faultsOf } from '../../scripts/reference.mjs'

type Entries = ReturnType<typeof publicNames>

const source = `
/** A thing. */
export class Thing {
  #secret = 1
  /** Makes a thing. */
  constructor(options?: ThingOptions) {}
  /** Moves it. */
  move(how: 'up' | 'down'): number { return this.#secret }
  /** The colour. */
  get colour(): Colour { return 'red' }
  /** @internal Counts it. */
  count(): void {}
  protected turn(): void {}
}
/** What colours there are. */
export type Colour = 'red' | 'blue'
/** The options. */
export interface ThingOptions {
  /** How large it is. */
  size?: number
  /** How it waits. */
  pause?: Pause
}
interface Pause {
  /** At first. */
  min?: number
}
/** The events. */
export interface ThingEvents {
  /** It is done. */
  done: [colour: Colour]
}
/** What is known. */
export interface Finding {
  /** Who says so. */
  by: 'me' | 'you'
}
export { Thing as default }
`
const below = `
import { Thing as Base } from './index.ts'
export type { Finding } from './index.ts'
/** A better thing. */
export class Thing extends Base {
  /** The colour, again. */
  override get colour(): 'red' { return 'red' }
  /** Flies. */
  fly(): void {}
}
`
const page = `# The reference

## \`thing\`

Also \`default\`.

### Class: \`Thing\`

#### \`new Thing([options])\`

#### \`thing.move(how)\`, \`thing.colour\`

### Type: \`Colour\`

\`'red'\` or \`'blue'\`.

### Options: \`ThingOptions\`

#### \`size\`

Number. Default: 1.

#### \`pause\`

Default: \`{ min: 1 }\`.

### Events: \`ThingEvents\`

#### Event: \`done\`

### Type: \`Finding\`

- \`by\`: \`'me'\` or \`'you'\`

## \`thing/better\`

With \`Finding\`.

### Class: \`Thing\`

#### \`thing.fly()\`

## Errors

### \`THING_BROKEN\`

## Close codes

| code | |
|---|---|
| 1000 | fine |
`

let folder = ''
let whole: Entries

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'everwire-reference-'))
  whole = namesOf('whole', source)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a package with these sources exports. */
function namesOf(name: string, index: string): Entries {
  const root = join(folder, name)
  mkdirSync(root)
  const entry = (file: string): object => ({ types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` })
  const exports = { '.': entry('index'), './same': entry('index'), './better': entry('better') }
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'thing', type: 'module', exports }))
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    allowImportingTsExtensions: true,
    noEmit: true,
  }
  writeFileSync(
    join(root, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['index.ts', 'better.ts'] }),
  )
  writeFileSync(join(root, 'index.ts'), index)
  writeFileSync(join(root, 'better.ts'), below)
  return publicNames(root, 'tsconfig.json')
}

const faults = (text: string, names: Entries = whole): string[] =>
  faultsOf(text, names, ['THING_BROKEN'], [1000])

test('a page that describes all that is exported, and nothing else, has no faults', () => {
  expect(faults(page)).toEqual([])
})

describe('what the page lacks', () => {
  test.each([
    ['an entry', '## `thing/better`', 'docs/API.md has nothing about the entry thing/better'],
    [
      'a name',
      '### Type: `Colour`',
      'no heading for Colour of thing (index.ts:16): write "### Type: `Colour`"',
    ],
    ['a member', '`thing.move(how)`, ', 'no heading for Thing.move (index.ts:8)'],
    ['a constructor', '#### `new Thing([options])`', 'no heading for Thing.new'],
    ['an option', '#### `size`', 'ThingOptions.size (index.ts:20): write "#### `size`" below'],
    ['a default', 'Number. Default: 1.', 'write the default of the option size'],
    ['a member of an object in an option', '{ min: 1 }', "say what 'min' means for ThingOptions.pause"],
    ['an event', '#### Event: `done`', 'ThingEvents.done (index.ts:31): write "#### Event: `done`"'],
    ['a field', "- `by`: `'me'` or `'you'`", 'does not describe Finding.by'],
    ['a value of a field', " or `'you'`", "say what 'you' means for Finding.by"],
    ['a value of a type', " or `'blue'`", "Colour may be 'blue'"],
    ['a second name', '`default`', 'does not say that thing also exports default'],
    [
      'what another entry exports',
      '`Finding`.\n\n### Class',
      'does not say that thing/better also exports Finding',
    ],
    ['what a subclass adds', '#### `thing.fly()`', 'no heading for Thing.fly (better.ts:'],
    ['the code of an error', '### `THING_BROKEN`', 'no heading for the code THING_BROKEN'],
    ['a close code', '| 1000 |', 'no row for the close code 1000'],
  ])('%s', (_what, text, expected) => {
    expect(page).toContain(text)
    expect(faults(page.replace(text, '')).join('\n')).toContain(expected)
  })
})

describe('what the page has too much', () => {
  test.each([
    ['an entry', '## Errors', '## `thing/old`\n\n## Errors', 'package.json exports no entry thing/old'],
    ['a link', 'Also', 'Also [this](#options-thing),', 'the link #options-thing leads to no heading'],
    ['a name', '### Type: `Finding`', '### `gone()`\n\n### Type: `Finding`', 'thing exports no gone'],
    ['a member', '#### `thing.fly()`', '#### `thing.fly()`, `thing.walk()`', 'Thing has no walk'],
    ['an option', '#### `size`', '#### `size`, `length`', 'ThingOptions has no length'],
    ['an event', '#### Event: `done`', '#### Event: `done`, `gone`', 'ThingEvents has no gone'],
    ['a field', '- `by`', '- `at`: when\n- `by`', 'Finding has no at'],
    [
      'a code',
      '### `THING_BROKEN`',
      '### `THING_BROKEN`, `THING_LOST`',
      'no error or warning has the code THING_LOST',
    ],
  ])('%s', (_what, text, more, expected) => {
    expect(page).toContain(text)
    const found = faults(page.replace(text, more))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })
})

test('what has no doc comment, or a part of a sentence', () => {
  const bare = source
    .replace(/\/\*\* (A thing|Moves it|How large it is|It is done|Who says so|At first)\. \*\//g, '')
    .replace('The colour.', 'The colour …')
    .replace('What colours there are.', 'https://example.com')
  const found = faults(page, namesOf('bare', bare)).map((one) => one.replace(/^.*?: |: write .*/g, ''))
  expect(found.sort()).toEqual([
    'Colour has no doc comment',
    'Finding.by has no doc comment',
    'Thing has no doc comment',
    'Thing.move has no doc comment',
    'ThingEvents.done has no doc comment',
    'ThingOptions.pause.min has no doc comment',
    'ThingOptions.size has no doc comment',
    'the doc comment of Thing.colour is a part of a sentence',
  ])
})

test('a fault names its line', () => {
  const stale = page.replace('- `by`', '- `at`: when\n- `by`')
  const line = stale.split('\n').indexOf('- `at`: when') + 1
  expect(faults(stale)[0]).toMatch(new RegExp(`^docs/API.md:${line}: `))
})
