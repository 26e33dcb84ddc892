/**
 * What the package exports, as the compiler sees it: every name of every entry, with the members that a user can reach and the
 * text that an editor shows for each. TypeScript 7 has no API of earlier versions; this is its new one, which TypeScript calls
 * unstable: should it change, this file is all that uses it.
 */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { SyntaxKind } from 'typescript/unstable/ast'
import { API, SignatureKind, SymbolFlags, TypeFlags } from 'typescript/unstable/sync'

/**
 * @typedef {import('typescript/unstable/sync').Symbol} Sym
 * @typedef {import('typescript/unstable/sync').Type} Type
 *
 * @typedef {object} Member
 * @property {string} name `new` for the constructor
 * @property {string} place where it is declared: `file:line`
 * @property {string} doc what an editor shows; empty without a doc comment
 * @property {readonly string[]} words the strings that it may be, if these have no name of their own
 * @property {readonly Member[]} within the members of an object that it may be, if that has no name of its own
 *
 * What a name is decides how it is documented:
 *   `class` (also an interface with methods), `options`, `events`: each member has a heading;
 *   `data`: each member has an item in a list;
 *   `function`, `type`: nothing below it has a name of its own.
 * @typedef {'class' | 'options' | 'events' | 'data' | 'function' | 'type'} Kind
 *
 * @typedef {object} Name
 * @property {string} name
 * @property {Kind} kind
 * @property {string} place
 * @property {string} doc
 * @property {readonly string[]} words
 * @property {readonly Member[]} members those that are not documented with another name
 *
 * @typedef {object} Entry
 * @property {string} entry as a user imports it: `everwire/server`
 * @property {readonly Name[]} names those that no entry before it exports
 * @property {readonly string[]} others those that are documented with an entry before it
 */

/**
 * @param {string} root the folder of package.json
 * @param {string} config the project that compiles all entries
 * @returns {Entry[]}
 */
export function publicNames(root, config) {
  const api = new API({ cwd: root })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [join(root, config)] })
    const project = snapshot.getProject(join(root, config))
    if (!project) throw new Error(`${config} is no project`)
    return new Reader(root, project).entries(entriesOf(root))
  } finally {
    api.close()
  }
}

/**
 * The sources of each entry: one for each runtime that has its own.
 * @param {string} root
 * @returns {Map<string, string[]>}
 */
function entriesOf(root) {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  /** @type {Map<string, string[]>} */
  const entries = new Map()
  for (const [key, target] of Object.entries(exports)) {
    const sources = [...new Set(typesIn(target))].map((path) =>
      path.replace(/^\.\/dist\//, '').replace(/\.d\.ts$/, '.ts'),
    )
    const known = [...entries.values()].some((one) => String(one) === String(sources))
    if (sources.length > 0 && !known) entries.set(name + key.slice(1), sources)
  }
  return entries
}

/**
 * @param {unknown} target
 * @returns {string[]}
 */
function typesIn(target) {
  if (typeof target !== 'object' || target === null) return []
  return Object.entries(target).flatMap(([condition, value]) =>
    condition === 'types' ? [String(value)] : typesIn(value),
  )
}

class Reader {
  #root
  #project
  #checker
  /** The declarations of all names that the package exports. */
  #exported = new Set()
  /** By the declaration of a member: the exported declaration that it stands in. */
  #owners = new Map()
  /** The unions of strings that have an exported name. */
  #unions = new Set()
  /** The declarations of names and members that are documented with an earlier entry. */
  #known = new Set()
  /** The instances of classes of earlier entries: a subclass adds only what they do not have. */
  #classes = new Set()

  /**
   * @param {string} root
   * @param {import('typescript/unstable/sync').Project} project
   */
  constructor(root, project) {
    this.#root = root
    this.#project = project
    this.#checker = project.checker
  }

  /**
   * @param {Map<string, string[]>} sources
   * @returns {Entry[]}
   */
  entries(sources) {
    const all = [...sources].map(([entry, files]) => ({ entry, symbols: this.#symbolsOf(files) }))
    for (const { symbols } of all)
      for (const one of [...symbols.values()].flat()) {
        const key = keyOf(one.declarations[0])
        this.#exported.add(key)
        for (const member of one.getMembers().values()) this.#owners.set(keyOf(member.declarations[0]), key)
        this.#unions.add(String(wordsOf(this.#checker.getDeclaredTypeOfSymbol(one))))
      }
    return all.map(({ entry, symbols }) => {
      const own = [...symbols].filter(([name, list]) => list.some((one) => this.#isNamed(one, name, symbols)))
      const names = own.map(([name, list]) => this.#name(name, list))
      for (const [, list] of own) for (const one of list) this.#learn(one)
      const others = [...symbols.keys()].filter((name) => !own.some(([owned]) => owned === name))
      return { entry, names, others }
    })
  }

  /**
   * What the files of one entry export, by name: a symbol for each runtime.
   * @param {readonly string[]} files
   * @returns {Map<string, Sym[]>}
   */
  #symbolsOf(files) {
    /** @type {Map<string, Sym[]>} */
    const symbols = new Map()
    for (const file of files) {
      const source = this.#project.program.getSourceFile(join(this.#root, file))
      const module = source && this.#checker.getSymbolAtLocation(source)
      if (!module) throw new Error(`${file} is not in the project`)
      for (const exported of this.#checker.getExportsOfModule(module)) {
        const symbol =
          exported.flags & SymbolFlags.Alias ? this.#checker.getAliasedSymbol(exported) : exported
        symbols.set(exported.name, [...(symbols.get(exported.name) ?? []), symbol])
      }
    }
    return symbols
  }

  /**
   * Whether the symbol is new, and this is its name: an entry may export it under several, as `default`.
   * @param {Sym} symbol
   * @param {string} name
   * @param {Map<string, Sym[]>} all
   */
  #isNamed(symbol, name, all) {
    const key = keyOf(symbol.declarations[0])
    if (this.#known.has(key)) return false
    const names = [...all].filter(([, list]) => list.some((one) => keyOf(one.declarations[0]) === key))
    return name === (names.find(([one]) => one === symbol.name) ?? names[0])?.[0]
  }

  /**
   * @param {Sym} symbol
   */
  #learn(symbol) {
    this.#known.add(keyOf(symbol.declarations[0]))
    const type = this.#checker.getDeclaredTypeOfSymbol(symbol)
    for (const one of this.#checker.getPropertiesOfType(type)) this.#known.add(keyOf(one.declarations[0]))
    if (this.#constructorOf(symbol)) this.#classes.add(type.getSymbol()?.id)
  }

  /**
   * @param {string} name
   * @param {readonly Sym[]} symbols
   * @returns {Name}
   */
  #name(name, symbols) {
    const [symbol] = symbols
    if (!symbol) throw new Error(`${name} is nothing`)
    const types = symbols.map((one) => this.#checker.getDeclaredTypeOfSymbol(one))
    const isClass = this.#constructorOf(symbol) !== undefined
    const kind = isClass ? 'class' : this.#kindOf(symbol, name)
    /** @type {Map<string, Member>} */
    const members = new Map()
    for (const one of kind === 'type' || kind === 'function' ? [] : symbols)
      for (const member of this.#membersOf(one)) {
        const other = members.get(member.name)
        // Each runtime has its own; the one that lacks something is shown.
        members.set(member.name, other && (other.doc === '' || member.doc !== '') ? other : member)
      }
    const doc = symbols.every((one) => this.#doc(one) !== '') ? this.#doc(symbol) : ''
    const lacking = symbols.find((one) => this.#doc(one) === '') ?? symbol
    return {
      name,
      kind,
      place: this.#place(lacking),
      doc,
      words: [...new Set(types.flatMap((type) => wordsOf(type)))],
      members: [...members.values()],
    }
  }

  /**
   * @param {Sym} symbol
   * @param {string} name
   * @returns {Kind}
   */
  #kindOf(symbol, name) {
    if (symbol.flags & SymbolFlags.Function) return 'function'
    if (!(symbol.flags & SymbolFlags.Interface)) return 'type'
    if (name.endsWith('Options')) return 'options'
    if (/.Events$|EventMap$/.test(name)) return 'events'
    const members = [...symbol.getMembers().values()]
    return members.some(({ flags }) => flags & SymbolFlags.Method) ? 'class' : 'data'
  }

  /** @param {Sym} symbol */
  #constructorOf(symbol) {
    if (!(symbol.flags & (SymbolFlags.Class | SymbolFlags.Variable))) return undefined
    const value = this.#checker.getTypeOfSymbol(symbol)
    return value && this.#checker.getSignaturesOfType(value, SignatureKind.Construct)[0]
  }

  /**
   * The members that are documented with this name.
   * @param {Sym} symbol
   * @returns {Member[]}
   */
  #membersOf(symbol) {
    const type = this.#checker.getDeclaredTypeOfSymbol(symbol)
    const found = [...this.#checker.getPropertiesOfType(type)]
    const instance = type.getSymbol()
    if (this.#constructorOf(symbol)) {
      const statics = this.#checker.getTypeOfSymbol(symbol)
      if (statics) found.push(...this.#checker.getPropertiesOfType(statics))
      const made = instance?.getMembers().get(/** @type {never} */ ('__constructor'))
      if (made) found.push(made)
    }
    const bases = this.#basesOf(type)
    return found
      .filter((one) => this.#isPublic(one) && !this.#known.has(keyOf(one.declarations[0])))
      .filter((one) => !bases.some((base) => this.#checker.getPropertyOfType(base, one.name)))
      .filter((one) => !this.#belongsElsewhere(one, symbol))
      .map((one) => this.#member(one))
  }

  /**
   * The classes above this one that an earlier entry exports.
   * @param {Type} type
   * @returns {Type[]}
   */
  #basesOf(type) {
    if (!type.isClassOrInterface()) return []
    const bases = [...this.#checker.getBaseTypes(type)]
    return [
      ...bases.filter((base) => this.#classes.has(base.getSymbol()?.id)),
      ...bases.flatMap((base) => this.#basesOf(base)),
    ]
  }

  /**
   * Whether another exported name has this member as its own.
   * @param {Sym} member
   * @param {Sym} symbol
   */
  #belongsElsewhere(member, symbol) {
    const owner = this.#owners.get(keyOf(member.declarations[0]))
    return owner !== undefined && owner !== keyOf(symbol.declarations[0])
  }

  /** @param {Sym} member */
  #isPublic(member) {
    const [declaration] = member.declarations
    if (!declaration || this.#isForeign(declaration.path) || member.name === 'prototype') return false
    if (member.name.startsWith('__') && member.name !== '__constructor') return false
    const node = /** @type {{ modifiers?: readonly { kind: number }[] } | undefined} */ (
      declaration.resolve(this.#project)
    )
    const hidden = [SyntaxKind.ProtectedKeyword, SyntaxKind.PrivateKeyword]
    if (node?.modifiers?.some(({ kind }) => hidden.includes(kind))) return false
    return !member.getJsDocTags(this.#checker).some(({ name }) => name === 'internal')
  }

  /** @param {string} path */
  #isForeign(path) {
    const from = relative(this.#root, path)
    return from.startsWith('..') || from.includes('node_modules') || path.startsWith('bundled:')
  }

  /**
   * @param {Sym} symbol
   * @returns {Member}
   */
  #member(symbol) {
    const type = this.#checker.getTypeOfSymbol(symbol)
    const words = type ? wordsOf(type) : []
    const name = symbol.name === '__constructor' ? 'new' : symbol.name
    return {
      name,
      place: this.#place(symbol),
      doc: this.#doc(symbol),
      words: this.#unions.has(String(words)) ? [] : words,
      within: type ? this.#within(type) : [],
    }
  }

  /**
   * The members of an object of ours that has no name of its own for a user.
   * @param {Type} type
   * @returns {Member[]}
   */
  #within(type) {
    return (type.isUnionType() ? (type.getTypes() ?? []) : [type]).flatMap((one) => {
      const symbol = one.getSymbol()
      const [declaration] = symbol?.declarations ?? []
      if (!symbol || !declaration || !(symbol.flags & SymbolFlags.Interface)) return []
      if (this.#isForeign(declaration.path) || this.#exported.has(keyOf(declaration))) return []
      const members = this.#checker.getPropertiesOfType(one)
      // What an application makes itself, such as options; not a socket that it got from us.
      if (!members.every(({ flags }) => flags & SymbolFlags.Optional)) return []
      return members.map((member) => this.#member(member))
    })
  }

  /** @param {Sym} symbol */
  #doc(symbol) {
    return symbol.getDocumentationComment(this.#checker).trim()
  }

  /** @param {Sym} symbol */
  #place(symbol) {
    const [declaration] = symbol.declarations
    const node = declaration?.resolve(this.#project)
    if (!declaration || !node) return 'unknown'
    const before = node.getSourceFile().text.slice(0, node.getStart())
    return `${relative(this.#root, declaration.path)}:${before.split('\n').length}`
  }
}

/**
 * A declaration as the key of a set.
 * @param {import('typescript/unstable/sync').NodeHandle | undefined} declaration
 */
function keyOf(declaration) {
  return declaration && `${declaration.path}:${declaration.index}`
}

/**
 * The strings of a union of nothing else, without `undefined`.
 * @param {Type} type
 * @returns {string[]}
 */
function wordsOf(type) {
  const all = (type.isUnionType() ? (type.getTypes() ?? []) : [type]).filter(
    ({ flags }) => !(flags & TypeFlags.Undefined),
  )
  const words = all.filter((one) => one.isStringLiteralType())
  return words.length === all.length ? words.map(({ value }) => value) : []
}
