/**
 * Opens classes for the browser's file. A class becomes a function: its private members become variables of that function,
 * and its public members an object that the function returns.
 *
 * A variable has a short name; `this.#name` is the longest way to write one, and the client's state machines consist of little
 * else. Nothing else changes, because nobody but the class can reach a private member. What this cannot open throws an error
 * that says why: a class with a base class, with static members, or whose private members are used on another object than `this`.
 */
import MagicString from 'magic-string'
import { parseAst } from 'vite'

/** @typedef {{ type: string, start: number, end: number, [key: string]: any }} Node */
/** @typedef {{ key: Node, value: Node | null, kind: string, type: string, start: number, end: number }} Member */

/** The object of the public members. Names of the sources never begin with this sign; variables that replace private members do. */
const self = '$self'

/**
 * @param {string} text a module in TypeScript
 * @param {readonly string[]} classes the classes to open, wherever they are declared
 * @returns {MagicString} the module with these opened, and made without `new`
 */
export function openClasses(text, classes) {
  const program = /** @type {Node} */ (/** @type {unknown} */ (parseAst(text, { lang: 'ts' })))
  const out = new MagicString(text)
  for (const statement of program.body) {
    const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (node?.type === 'ClassDeclaration' && classes.includes(node.id.name)) open(out, text, node)
  }
  walk(program, (node) => {
    const used =
      node.type === 'BinaryExpression' && node.operator === 'instanceof' ? node.right : node.superClass
    if (classes.includes(used?.name))
      throw new Error(`The class ${used.name} is opened: nothing is an instance of it`)
    if (node.type === 'NewExpression' && classes.includes(node.callee.name))
      out.remove(node.start, node.callee.start)
  })
  return out
}

/**
 * @param {MagicString} out
 * @param {string} text
 * @param {Node} node the class
 */
function open(out, text, node) {
  /** @type {(what: string) => never} */
  const refuse = (what) => {
    throw new Error(`The class ${node.id.name} cannot be opened: ${what}`)
  }
  if (node.superClass) refuse('it has a base class')
  /** @type {Member[]} */
  const members = node.body.body
  for (const { type, key, static: isStatic, computed, kind } of /** @type {Node[]} */ (members)) {
    if (!key || isStatic || computed || /Abstract|Accessor/.test(type))
      refuse('it has more than plain members')
    if (kind === 'set' && isPrivate({ key })) refuse(`#${key.name} has a setter`)
  }
  const hidden = new Map(members.filter(isPrivate).map((member) => [nameOf(member.key), member]))
  if (new Set([...hidden.values()].map(({ key }) => key.name)).size < hidden.size)
    refuse('two members differ only by #')
  const creation = members.find(({ kind }) => kind === 'constructor')
  const { parameters, statements, given } = headOf(creation, hidden)

  const variables = members.filter(
    (one) => isPrivate(one) && one.type === 'PropertyDefinition' && !given.has(one),
  )
  const functions = members.filter((one) => isPrivate(one) && one.type === 'MethodDefinition')
  const shown = members.filter(
    (one) => !isPrivate(one) && one !== creation && (one.value || one.type === 'MethodDefinition'),
  )

  for (const { value } of variables)
    walk(value ?? node.id, (one, parent) => {
      const isHidden = parent.type === 'MemberExpression' && hidden.has(nameOf(parent.property))
      if (one.type === 'ThisExpression' && !isHidden) refuse("'this' comes before the object is there")
      return !/Function/.test(one.type)
    })
  for (const member of members) {
    if (member === creation) for (const statement of statements) renameIn(statement, given)
    else if (member.value && !given.has(member)) renameIn(member.value)
  }
  assemble()

  /**
   * Private members and `this` by their new names.
   * @param {Node} root
   * @param {ReadonlyMap<Member, string>} [fromParameters]
   */
  function renameIn(root, fromParameters = new Map()) {
    const parametersOf = new Map([...fromParameters].map(([member, name]) => [name, `$${member.key.name}`]))
    walk(root, (one, parent) => {
      if (/^(Super|MetaProperty)$/.test(one.type)) refuse(`it uses '${text.slice(one.start, one.end)}'`)
      if (
        one.type === 'FunctionExpression' &&
        one !== root &&
        /\bthis\b/.test(text.slice(one.start, one.end))
      )
        refuse("a function in it has a 'this' of its own")
      if (one.type === 'MemberExpression' && one.object.type === 'ThisExpression') {
        const member = hidden.get(nameOf(one.property))
        if (member && !one.computed) {
          out.overwrite(one.start, one.end, `$${one.property.name}${member.kind === 'get' ? '()' : ''}`)
          return false
        }
      }
      if (one.type === 'PrivateIdentifier') refuse(`#${one.name} is used on another object`)
      if (one.type === 'VariableDeclarator' && one.init?.type === 'ThisExpression')
        for (const { key } of one.id.properties ?? [])
          if (hidden.has(key?.name)) refuse(`'${key.name}' is read by destructuring`)
      if (one.type === 'ThisExpression') out.overwrite(one.start, one.end, self)
      const name = one.type === 'Identifier' ? parametersOf.get(one.name) : undefined
      if (name) rename(one, parent, name)
      return true
    })
  }

  /** @type {(one: Node, parent: Node, name: string) => void} */
  function rename(one, parent, name) {
    if (parent.type === 'Property' && parent.shorthand) refuse(`the parameter '${one.name}' is a shorthand`)
    const isName =
      (parent.type === 'Property' && parent.key === one) ||
      (parent.type === 'MemberExpression' && parent.property === one && !parent.computed)
    if (!isName) out.overwrite(one.start, one.end, name)
  }

  /** The parts of the function in their order: variables, the object, what the constructor did, functions. */
  function assemble() {
    const end = node.end - 1
    const generics = node.typeParameters ? text.slice(node.typeParameters.start, node.typeParameters.end) : ''
    out.overwrite(
      node.start,
      node.body.start + 1,
      `function ${node.id.name}${generics}(${parameters(text)}) {\n`,
    )
    for (const member of members)
      if (given.has(member) || (!isPrivate(member) && member !== creation && !shown.includes(member)))
        out.remove(member.start, member.end)
    for (const { key, value, ...member } of variables) {
      out.overwrite(member.start, value?.start ?? member.end, `let $${key.name}${value ? ' = ' : ''}`)
      out.appendLeft(member.end, '\n').move(member.start, member.end, end)
    }
    if (shown.length === 0) out.appendLeft(end, `const ${self} = {}\n`)
    for (const [i, member] of shown.entries()) {
      const { start, end: last, key, kind } = member
      const value = /** @type {Node} */ (member.value)
      const before = value.async ? 'async ' : kind === 'get' || kind === 'set' ? `${kind} ` : ''
      const name = member.type === 'PropertyDefinition' ? `${key.name}: ` : before + key.name
      out.overwrite(start, value.start, `${i ? '' : `const ${self} = {\n`}${name}`)
      out.appendLeft(last, i === shown.length - 1 ? '}\n' : ',\n').move(start, last, end)
    }
    if (creation?.value) {
      const { body } = creation.value
      out.remove(creation.start, body.start + 1).remove(body.end - 1, creation.end)
      for (const one of body.body) if (!statements.includes(one)) out.remove(one.start, one.end)
      out.appendLeft(body.end - 1, '\n').move(creation.start, creation.end, end)
    }
    for (const { start, end: last, key, ...member } of functions) {
      const value = /** @type {Node} */ (member.value)
      out.overwrite(start, value.start, `${value.async ? 'async ' : ''}function $${key.name}`)
      out.appendLeft(last, '\n').move(start, last, end)
    }
    out.prependRight(end, `return ${self}\n`)
  }
}

/**
 * What a constructor takes and does. A private field that it sets to a parameter, and does nothing else to first, is that
 * parameter: `given` says which parameter each of these fields is.
 * @param {Member | undefined} creation
 * @param {ReadonlyMap<string, Member>} hidden
 */
function headOf(creation, hidden) {
  /** @type {Node[]} */
  const taken = creation?.value?.params ?? []
  /** @type {Node[]} */
  const all = creation?.value?.body.body ?? []
  const names = taken.map((one) => (one.left ?? one).name)
  /** @type {Map<Member, string>} */
  const given = new Map()
  const statements = all.filter(({ expression: set }) => {
    if (set?.type !== 'AssignmentExpression' || set.left.object?.type !== 'ThisExpression') return true
    const field = hidden.get(nameOf(set.left.property))
    const name = set.right.name
    if (!field || field.value || !names.includes(name) || [...given.values()].includes(name)) return true
    given.set(field, name)
    return false
  })
  /** @type {(text: string) => string} */
  const parameters = (text) =>
    taken
      .map((one) => {
        const { name } = one.left ?? one
        const [field] = [...given].find(([, parameter]) => parameter === name) ?? []
        return (field ? `$${field.key.name}` : name) + text.slice(one.start + name.length, one.end)
      })
      .join(', ')
  return { parameters, statements, given }
}

/** @param {Node} key */
function nameOf({ type, name }) {
  return type === 'PrivateIdentifier' ? `#${name}` : name
}

/** @param {{ key: Node, accessibility?: string }} member */
function isPrivate({ key, accessibility }) {
  return key?.type === 'PrivateIdentifier' || accessibility === 'private' || accessibility === 'protected'
}

/**
 * @param {Node} node
 * @param {(node: Node, parent: Node) => unknown} visit answers `false` where it wants to go no deeper
 * @param {Node} [parent]
 */
function walk(node, visit, parent = node) {
  if (visit(node, parent) === false) return
  for (const value of Object.values(node))
    for (const child of [value].flat()) if (typeof child?.type === 'string') walk(child, visit, node)
}
