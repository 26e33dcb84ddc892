/**
 * Guards the names that the build shortens for browsers. Only everwire's own objects may have a property with such a name:
 * the platform, an application and the other end use the full name, so they would not find it.
 *
 * The type checker finds such uses. It compiles the client twice, each time with other declarations of what is not everwire's own:
 *   1. Members with a name of the list are renamed. Code that reads, calls or writes one of them is an error.
 *   2. The platform's members with a name of the list get a type that fits nothing. An object that carries one of them from the
 *      client to the platform or back is an error, also where the member is optional.
 * A name in quotes (`options['session']`) is no error: esbuild leaves it as it is.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { root, runTool } from './run.mjs'

const entry = 'client/script.ts'
const entryOfBrowsers = 'client/browser.ts'
const libraries = ['es2023', 'dom']
/** JavaScript itself calls these on any object, and no type says so. */
const implied = ['constructor', 'prototype', 'toString', 'valueOf', 'toJSON', 'then']

/**
 * @param {readonly string[]} names the names that are to be made short
 * @returns {string[]} what is wrong with them, a line each
 */
export function faultsOfShortNames(names) {
  const sources = sourcesOf(entry)
  const platform = platformTypes()
  const foreign = foreignTypes(sources)
  /** @type {{ name: string, of: string }[]} */
  const listed = [
    ...implied.map((name) => ({ name, of: 'JavaScript itself' })),
    ...publicMembers(sources).map((name) => ({ name, of: 'the public class WebSocket' })),
    ...castMembers(sources),
    ...jsonMembers().map((name) => ({ name, of: 'the JSON of docs/PROTOCOL.md' })),
  ]
  const faults = listed
    .filter(({ name }) => names.includes(name))
    .map(({ name, of }) => `'${name}' belongs to ${of}`)
  const renamed = new Map(
    [...sources].map(([file, text]) => [file, inBlocks(text, foreign.get(file) ?? [], names)]),
  )
  faults.push(...compile(renamed, rename(platform, names)), ...compile(sources, misfit(platform, names)))
  return [...new Set(faults)]
}

/**
 * Throws if one of these names is not everwire's own.
 * @param {readonly string[]} names
 */
export function checkShortNames(names) {
  const faults = faultsOfShortNames(names)
  if (faults.length === 0) return
  const advice =
    "Take the name out of internalNames in scripts/browser-file.mjs, or give everwire's own property another name."
  throw new Error(
    `The build shortens names that are not everwire's alone:\n  ${faults.join('\n  ')}\n${advice}`,
  )
}

/**
 * The modules that a browser gets, with the types they use.
 * @param {string} first
 * @returns {Map<string, string>} their text by their path from the root
 */
function sourcesOf(first) {
  /** @type {Map<string, string>} */
  const sources = new Map()
  const queue = [first]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (sources.has(file)) continue
    const text = readFileSync(join(root, file), 'utf8')
    sources.set(file, text)
    for (const [, wanted = ''] of text.matchAll(/\bfrom '(\.[^']*)'/g))
      queue.push(posix.join(posix.dirname(file), wanted))
  }
  return sources
}

/** What TypeScript's libraries declare, in one text. */
export function platformTypes() {
  const folder = libraryFolder()
  const texts = new Map()
  const queue = [...libraries]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (texts.has(name)) continue
    const text = readFileSync(join(folder, `lib.${name}.d.ts`), 'utf8')
    texts.set(name, text.replace(/^\/\/\/ <reference.*$/gm, ''))
    for (const [, other = ''] of text.matchAll(/^\/\/\/ <reference lib="([^"]+)"/gm)) queue.push(other)
  }
  return [...texts.values()].join('\n')
}

/** TypeScript 7 keeps them beside its program, in the package for this system. */
function libraryFolder() {
  const require = createRequire(createRequire(import.meta.url).resolve('typescript/package.json'))
  const program = require.resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`)
  return join(dirname(program), 'lib')
}

/** @typedef {{ name: string, text: string, mentions: readonly string[] }} Declaration */

/**
 * What a module declares, each as it stands there. Biome formats the sources, so a declaration ends at a brace of no depth.
 * @param {string} text
 * @returns {Declaration[]}
 */
function declarationsOf(text) {
  const pattern =
    /^(?:export )?(?:declare )?(?:interface|type|class) (\w+)(?:[^{\n]*\{\n[\s\S]*?^\}|[^\n]*(?:\n {2}[^\n]*)*)/gm
  return [...text.matchAll(pattern)].map(([all, name = '']) => ({
    name,
    text: all,
    mentions: withoutComments(all).match(/\b[A-Z]\w+/g) ?? [],
  }))
}

/**
 * The declarations of types that describe what is not everwire's own: what it exports, what the platform gives it by a cast, and
 * what it reads from JSON; with the types that these are made of.
 * @param {Map<string, string>} sources
 * @returns {Map<string, Declaration[]>} by file
 */
function foreignTypes(sources) {
  const all = [...sources].flatMap(([file, text]) => declarationsOf(text).map((one) => ({ file, ...one })))
  const exported = (sources.get(entryOfBrowsers) ?? '').matchAll(/^export type \{([^}]*)\} from/gm)
  const casts = [...sources.values()].flatMap((text) => [
    ...text.matchAll(/\bas unknown as (\w{2,})/g),
    ...text.matchAll(/\bJSON\.parse\(.*\) as (\w+)/g),
  ])
  const queue = [...exported, ...casts].flatMap(([, names = '']) => names.match(/\w+/g) ?? [])
  /** @type {Map<string, Declaration[]>} */
  const foreign = new Map()
  const seen = new Set()
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    // The members of an event map are strings wherever they are used.
    if (name.endsWith('EventMap')) continue
    for (const one of all.filter((other) => other.name === name && !/^export class/.test(other.text))) {
      foreign.set(one.file, [...(foreign.get(one.file) ?? []), one])
      queue.push(...one.mentions)
    }
  }
  return foreign
}

/**
 * The names of the class by which applications and the standard call it.
 * @param {Map<string, string>} sources
 */
function publicMembers(sources) {
  const found = [...sources.values()].flatMap((text) =>
    declarationsOf(text).filter((one) => one.text.startsWith('export class WebSocket ')),
  )
  if (found.length !== 1) throw new Error(`found ${found.length} classes WebSocket`)
  const members = found[0]?.text.matchAll(/^ {2}((?:[a-z]+ )*)(\w+)[?!]?[:(<= ]/gm) ?? []
  return [...members]
    .filter(([, modifiers = '']) => !/\b(?:private|protected)\b/.test(modifiers))
    .map(([, , name = '']) => name)
}

/**
 * Members that a cast describes in place, as in `(navigator as { connection?: EventTarget })`, or that are looked for by a string,
 * as in `'arrayBuffer' in item`.
 * @param {Map<string, string>} sources
 */
function castMembers(sources) {
  return [...sources].flatMap(([file, text]) => {
    const casts = [...text.matchAll(/\bas \{([^}]*)\}/g)].map(([, type = '']) => type)
    const names = casts.flatMap((type) => [...type.matchAll(/(\w+)\??:/g)])
    const lookups = [...text.matchAll(/'(\w+)' in /g)]
    return [
      ...names.map(([, name = '']) => ({ name, of: `an object that ${file} describes in a cast` })),
      ...lookups.map(([, name = '']) => ({ name, of: `an object in which ${file} looks for it` })),
    ]
  })
}

/** One build writes the protocol's JSON, another reads it. */
function jsonMembers() {
  const protocol = readFileSync(join(root, 'docs/PROTOCOL.md'), 'utf8')
  return [...protocol.matchAll(/"(\w+)":/g)].map(([, name = '']) => name)
}

/** @param {string} text */
function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}

/** @typedef {(declarations: string, names: readonly string[]) => string} Change */

/** @type {Change} */
function rename(declarations, names) {
  const any = names.join('|')
  return declarations
    .replace(
      new RegExp(`^(\\s+(?:readonly |get |set |static )*)(${any})(?=\\??[:(<])`, 'gm'),
      '$1notToBeShortened_$2',
    )
    .replace(new RegExp(`^(declare (?:var|function) )(${any})(?=[:(<])`, 'gm'), '$1notToBeShortened_$2')
}

/** @type {Change} */
function misfit(declarations, names) {
  const member = new RegExp(
    `^(\\s+)(?:readonly |get |set |static )*(${names.join('|')})(\\??)[:(<].*;$`,
    'gm',
  )
  return declarations.replace(member, '$1$2$3: NotToBeShortened;')
}

/**
 * @param {string} text
 * @param {readonly Declaration[]} blocks
 * @param {readonly string[]} names
 */
function inBlocks(text, blocks, names) {
  let changed = text
  for (const block of blocks) changed = changed.replace(block.text, () => rename(block.text, names))
  return changed
}

/**
 * @param {Map<string, string>} sources
 * @param {string} platform
 * @returns {string[]} the type checker's errors
 */
function compile(sources, platform) {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-names-'))
  try {
    for (const [file, text] of sources) {
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), text)
    }
    const brand =
      'declare const notToBeShortened: unique symbol\ninterface NotToBeShortened { [notToBeShortened]: 1 }\n'
    writeFileSync(join(folder, 'platform.d.ts'), brand + platform)
    const { lib: _, ...base } = JSON.parse(
      readFileSync(join(root, 'tsconfig.base.json'), 'utf8'),
    ).compilerOptions
    const compilerOptions = {
      ...base,
      noLib: true,
      declaration: false,
      isolatedDeclarations: false,
      // What stands in quotes may have no member: it is not made short.
      noImplicitAny: false,
    }
    const config = {
      compilerOptions,
      files: ['platform.d.ts', ...sources.keys()],
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const { ok, output } = runTool(['typescript', 'tsc'], ['-p', folder, '--pretty', 'false'], {
      cwd: folder,
      quiet: true,
    })
    return ok ? [] : errorsIn(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} output of the type checker
 * @returns {string[]} its errors, each with the innermost reasons, which name the member
 */
function errorsIn(output) {
  /** @type {string[][]} */
  const errors = []
  for (const line of output.split('\n')) {
    if (/\berror TS\d+:/.test(line)) errors.push([line])
    else if (/^\s+\S/.test(line)) errors.at(-1)?.push(line.trim())
  }
  // No error, and not well: the type checker did not run.
  if (errors.length === 0) return [output]
  return errors.map(([first = '', ...reasons]) => {
    const text = [first.replace(/ error TS\d+:/, ''), ...reasons.slice(-2)].join(' ')
    return text.replaceAll('notToBeShortened_', '')
  })
}
