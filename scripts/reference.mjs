/**
 * Compares docs/API.md with what the package exports. The form of the page:
 *
 *   ## `everwire/server`            an entry
 *   ### Class: `Socket`             a name that it exports, or several
 *   #### `socket.send(data)`        a member of that name; `Event: 'message'` for an event; several may share a heading
 *   - `at`: …                       a member of a name that is plain data; also a row of a table
 *
 * A heading without code is prose. So is all below a second-level heading without code, except the headings there with a code of
 * an error or a warning.
 */

/**
 * @typedef {import('./public-names.mjs').Entry} Entry
 * @typedef {import('./public-names.mjs').Name} Name
 * @typedef {import('./public-names.mjs').Member} Member
 *
 * @typedef {object} Section
 * @property {number} line
 * @property {readonly string[]} names as in the heading, without arguments
 * @property {string} text what stands below the heading, without the sections in it
 * @property {Section[]} sections
 */

const page = 'docs/API.md'

/**
 * @param {string} text docs/API.md
 * @param {readonly Entry[]} entries
 * @param {readonly string[]} codes of errors and warnings
 * @param {readonly number[]} closeCodes
 * @returns {string[]} what is wrong, and what to write
 */
export function faultsOf(text, entries, codes, closeCodes) {
  const sections = read(text)
  const faults = entries.flatMap((entry) => {
    const section = sections.find(({ names }) => names.includes(entry.entry))
    if (section) return faultsOfEntry(entry, section)
    const missing = `${page} has nothing about the entry ${entry.entry}: write "## \`${entry.entry}\`"`
    return [missing, ...faultsOfEntry(entry, { line: 0, names: [], text: '', sections: [] })]
  })
  for (const { names, line } of sections)
    for (const name of names)
      if (!entries.some(({ entry }) => entry === name))
        faults.push(`${page}:${line}: package.json exports no entry ${name}: delete this part`)
  const prose = sections.filter(({ names }) => names.length === 0).flatMap((one) => one.sections)
  for (const code of codes)
    if (!prose.some(({ names }) => names.includes(code)))
      faults.push(`${page} has no heading for the code ${code}: write "### \`${code}\`" below "## Errors"`)
  for (const { names, line } of prose)
    for (const name of names)
      if (!codes.includes(name))
        faults.push(`${page}:${line}: no error or warning has the code ${name}: delete this part`)
  for (const code of closeCodes)
    if (!new RegExp(`^\\| ${code} \\|`, 'm').test(text))
      faults.push(
        `${page} has no row for the close code ${code}: write "| ${code} | …" below "## Close codes"`,
      )
  const anchors = anchorsOf(text)
  for (const [, anchor = ''] of text.matchAll(/\]\(#([^)]*)\)/g))
    if (!anchors.has(anchor)) faults.push(`${page}: the link #${anchor} leads to no heading: correct it`)
  return faults
}

/**
 * What links to a heading, as GitHub makes it.
 * @param {string} text
 */
function anchorsOf(text) {
  const anchors = new Set()
  for (const { title } of headingsOf(text)) {
    const anchor = title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-')
    let free = anchor
    for (let again = 1; anchors.has(free); again++) free = `${anchor}-${again}`
    anchors.add(free)
  }
  return anchors
}

/**
 * @param {Entry} entry
 * @param {Section} section
 * @returns {string[]}
 */
function faultsOfEntry({ entry, names, others }, section) {
  const faults = names.flatMap((name) => faultsOfName(entry, name, section))
  for (const other of others)
    if (!wholeText(section).includes(`\`${other}\``))
      faults.push(
        `${page} does not say that ${entry} also exports ${other}: write \`${other}\` into the list below "## \`${entry}\`"`,
      )
  for (const { names: written, line, text, sections } of section.sections) {
    for (const one of written)
      if (!names.some(({ name }) => name === one))
        faults.push(`${page}:${line}: ${entry} exports no ${one}: delete this part, or correct the name`)
    const here = names.filter(({ name }) => written.includes(name))
    if (here.length > 0) faults.push(...faultsOfMembers(here, text, line, sections))
  }
  return faults
}

/**
 * Headings and items of what is not there any more.
 * @param {readonly Name[]} here
 * @param {string} text
 * @param {number} line
 * @param {readonly Section[]} sections
 * @returns {string[]}
 */
function faultsOfMembers(here, text, line, sections) {
  const known = here.flatMap(({ members, words }) => [...members.map(({ name }) => name), ...words])
  const title = here.map(({ name }) => name).join(', ')
  const stale = sections.flatMap((one) =>
    one.names.filter((name) => !known.includes(name)).map((name) => ({ name, line: one.line })),
  )
  if (here.every(({ kind }) => kind === 'data'))
    for (const { name, offset } of itemsOf(text))
      if (!known.includes(name)) stale.push({ name, line: line + offset })
  return stale.map(
    (one) => `${page}:${one.line}: ${title} has no ${one.name}: delete this part, or correct the name`,
  )
}

/**
 * @param {string} entry
 * @param {Name} name
 * @param {Section} page
 * @returns {string[]}
 */
function faultsOfName(entry, name, { sections }) {
  const faults = faultsOfDoc(name.name, name)
  const section = sections.find(({ names }) => names.includes(name.name))
  if (!section) {
    faults.push(
      `${page} has no heading for ${name.name} of ${entry} (${name.place}): write "### ${titles[name.kind]}\`${name.name}\`" below "## \`${entry}\`"`,
    )
    return [...faults, ...name.members.flatMap((one) => faultsOfDoc(`${name.name}.${one.name}`, one))]
  }
  for (const word of name.words)
    if (!says(wholeText(section), word))
      faults.push(
        `${page}:${section.line}: ${name.name} may be '${word}', which this part does not say: write \`'${word}'\` and what it means`,
      )
  for (const member of name.members) faults.push(...faultsOfMember(name, member, section))
  return faults
}

/** @satisfies {Record<import('./public-names.mjs').Kind, string>} */
const titles = {
  class: 'Class: ',
  options: 'Options: ',
  events: 'Events: ',
  data: 'Type: ',
  type: 'Type: ',
  function: '',
}

/**
 * @param {Name} name
 * @param {Member} member
 * @param {Section} section
 * @returns {string[]}
 */
function faultsOfMember(name, member, section) {
  const whole = `${name.name}.${member.name}`
  const faults = faultsOfDoc(whole, member)
  for (const one of member.within) faults.push(...faultsOfDoc(`${whole}.${one.name}`, one))
  const title = `"### … \`${name.name}\`" (${page}:${section.line})`
  if (name.kind === 'data') {
    const item = itemsOf(section.text).find((one) => one.name === member.name)
    if (!item)
      faults.push(
        `${page} does not describe ${whole} (${member.place}): write "- \`${member.name}\`: …" below ${title}`,
      )
    else faults.push(...unsaid(member, item.text, whole, section.line))
    return faults
  }
  const own = section.sections.find(({ names }) => names.includes(member.name))
  if (!own) {
    faults.push(
      `${page} has no heading for ${whole} (${member.place}): write "#### ${written(name, member)}" below ${title}${
        name.kind === 'options' ? ', with its type, its default and what happens at its bounds' : ''
      }`,
    )
    return faults
  }
  if (name.kind === 'options' && !/\b(default|required)\b/i.test(own.text))
    faults.push(
      `${page}:${own.line}: write the default of the option ${member.name} ("Default: …"), or "Required"`,
    )
  return [...faults, ...unsaid(member, own.text, whole, own.line)]
}

/**
 * @param {Name} name
 * @param {Member} member
 */
function written({ name, kind }, member) {
  if (kind === 'options') return `\`${member.name}\``
  if (kind === 'events') return `Event: \`${member.name}\``
  if (member.name === 'new') return `\`new ${name}(…)\``
  return `\`${/Server$/.test(name) ? 'server' : 'socket'}.${member.name}\``
}

/**
 * The values and the inner members of which the text says nothing.
 * @param {Member} member
 * @param {string} text
 * @param {string} whole
 * @param {number} line
 * @returns {string[]}
 */
function unsaid({ words, within }, text, whole, line) {
  return [...words, ...within.map(({ name }) => name)]
    .filter((word) => !says(text, word))
    .map((word) => `${page}:${line}: say what '${word}' means for ${whole}: write \`${word}\``)
}

/**
 * @param {string} what
 * @param {{ readonly doc: string, readonly place: string }} where
 * @returns {string[]}
 */
function faultsOfDoc(what, { doc, place }) {
  const text = doc.replace(/https?:\S+/g, '').trim()
  if (text === '')
    return [`${place}: ${what} has no doc comment: write /** a sentence that an editor shows */ above it`]
  if (/^…|…$/.test(text))
    return [`${place}: the doc comment of ${what} is a part of a sentence: write a whole one, without "…"`]
  return []
}

/**
 * Whether the text has this as code, in quotes or not.
 * @param {string} text
 * @param {string} word
 */
function says(text, word) {
  const codes = [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
  return codes.some((code) => code === word || code.split(/[^\w '-]/).some((part) => bare(part) === word))
}

/** @param {string} code */
function bare(code) {
  return code.trim().replace(/^'(.*)'$/, '$1')
}

/** @param {Section} section
 * @returns {string} */
function wholeText({ text, sections }) {
  return [text, ...sections.map(wholeText)].join('\n')
}

/**
 * The items and rows that begin with code.
 * @param {string} text
 */
function itemsOf(text) {
  return text.split('\n').flatMap((line, offset) => {
    const [, start = ''] = /^(?:- |\| )((?:`[^`]+`(?:, )?)+)/.exec(line) ?? []
    return [...start.matchAll(/`([^`]+)`/g)].map(([, code = '']) => ({
      name: nameIn(code),
      text: line,
      offset,
    }))
  })
}

/**
 * The name in `socket.send(data[, callback])`, in `new WebSocket(url)` (that is `new`) and in `Event: 'open'`.
 * @param {string} code
 */
function nameIn(code) {
  if (/^new \w+\(/.test(code)) return 'new'
  if (code.startsWith('everwire')) return code
  return bare(code.replace(/[([].*$/, '').replace(/^\w+\./, ''))
}

/**
 * @param {string} text
 * @returns {Section[]} the sections of the second level
 */
function read(text) {
  /** @type {Section} */
  const root = { line: 0, names: [], text: '', sections: [] }
  const open = [root]
  const headings = new Map(headingsOf(text).map((heading) => [heading.line, heading]))
  for (const [at, line] of text.split('\n').entries()) {
    const heading = headings.get(at + 1)
    if (heading) {
      open.length = Math.min(open.length, heading.level - 1)
      const names = [...heading.title.matchAll(/`([^`]+)`/g)].map(([, code = '']) => nameIn(code))
      /** @type {Section} */
      const section = { line: at + 1, names, text: '', sections: [] }
      open.at(-1)?.sections.push(section)
      open.push(section)
    } else {
      const last = /** @type {Section} */ (open.at(-1))
      last.text += `\n${line}`
    }
  }
  return root.sections
}

/**
 * The headings from the second level on, outside of blocks of code.
 * @param {string} text
 */
function headingsOf(text) {
  let fenced = false
  return text.split('\n').flatMap((line, at) => {
    if (line.startsWith('```')) fenced = !fenced
    const [, marks, title = ''] = (!fenced && /^(##+) (.*)$/.exec(line)) || []
    return marks ? [{ line: at + 1, level: marks.length, title }] : []
  })
}
