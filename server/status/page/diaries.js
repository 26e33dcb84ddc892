// The two lists of sessions: each entry opens to its diary. Everything is set as text, because reasons come from anybody.
import { ago, count, duration, ordinary, reasons, time, transportNames } from './words.js'

/** @typedef {import('../journal.ts').EndedEntry} EndedEntry */
/** @typedef {import('../journal.ts').TroubledEntry} TroubledEntry */
/** @typedef {import('../../sockets/carrier-diary.ts').ServerCarrierEntry} ServerCarrierEntry */

const longest = 50

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
function element(name, attributes, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

/**
 * How long ago something was: `tickAges` moves all of a list on.
 * @param {number} at
 */
function ageOf(at) {
  return element('time', { datetime: new Date(at).toISOString(), title: time(at), 'data-at': String(at) })
}

/** @param {HTMLElement} list @param {number} now */
function tickAges(list, now) {
  for (const one of list.querySelectorAll('time')) {
    const text = ago(now - Number(one.dataset.at))
    if (one.textContent !== text) one.textContent = text
  }
}

/** The clients that are gone: each entry is made once. */
export class Ended {
  #list
  #last = 0

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list
  }

  /** Another process, or the same after a restart. */
  clear() {
    this.#list.replaceChildren()
    this.#last = 0
  }

  /**
   * @param {readonly EndedEntry[]} entries latest first
   * @param {number} now
   */
  show(entries, now) {
    const fresh = entries.filter(({ n }) => n > this.#last)
    this.#last = fresh[0]?.n ?? this.#last
    this.#list.prepend(...fresh.map(endedItem))
    while (this.#list.children.length > longest) this.#list.lastElementChild?.remove()
    tickAges(this.#list, now)
  }
}

/** The sessions in trouble: an entry changes in place, so that one that is open stays open. */
export class Troubled {
  #list
  /** @type {Map<string, { item: HTMLElement, told: string }>} */
  #items = new Map()

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list
  }

  /**
   * @param {readonly TroubledEntry[]} entries latest trouble first
   * @param {number} now
   */
  show(entries, now) {
    const items = entries.map((entry) => this.#itemFor(entry))
    const ids = new Set(entries.map(({ id }) => id))
    for (const id of this.#items.keys()) if (!ids.has(id)) this.#items.delete(id)
    const isSame =
      items.length === this.#list.children.length && items.every((item, i) => item === this.#list.children[i])
    if (!isSame) this.#list.replaceChildren(...items)
    tickAges(this.#list, now)
  }

  /** @param {TroubledEntry} entry */
  #itemFor(entry) {
    const told = JSON.stringify(entry)
    const known = this.#items.get(entry.id)
    if (known?.told === told) return known.item
    const item = troubledItem(entry)
    if (known) {
      const details = /** @type {HTMLDetailsElement} */ (known.item.firstElementChild)
      const hadFocus = details.firstElementChild === document.activeElement
      details.replaceChildren(...(item.firstElementChild?.children ?? []))
      known.item.dataset.tone = item.dataset.tone ?? ''
      if (hadFocus) /** @type {HTMLElement} */ (details.firstElementChild).focus()
      known.told = told
      return known.item
    }
    this.#items.set(entry.id, { item, told })
    return item
  }
}

/** @param {EndedEntry} entry */
function endedItem(entry) {
  const { at, cause, code, reason, plain } = entry
  const isOrdinary = ordinary.has(cause)
  const what = element('b', {}, reasons.get(cause) ?? cause)
  const facts = [`Code ${code}`, reason === '' ? 'no reason given' : `reason “${reason}”`]
  if (plain) facts.push('an ordinary WebSocket, without a session')
  const item = itemOf(entry, [what, element('code', {}, String(code)), ageOf(at)], facts, at)
  item.dataset.tone = isOrdinary ? 'ordinary' : 'bad'
  return item
}

/** @param {TroubledEntry} entry */
function troubledItem(entry) {
  const { at, times, transport } = entry
  const now = transport ? `On ${transportNames[transport]}` : 'Without a connection'
  const often = times === 1 ? 'once' : `${count(times)} times`
  const item = itemOf(entry, [element('b', {}, now), element('span', {}, often), ageOf(at)], [])
  item.dataset.tone = transport ?? 'bad'
  return item
}

/**
 * @param {EndedEntry | TroubledEntry} entry
 * @param {readonly Node[]} summary
 * @param {readonly string[]} facts
 * @param {number} [until] when the session ended
 */
function itemOf({ id, address, carriers, omitted }, summary, facts, until) {
  const all = [...facts, `id ${id}`, ...(address ? [`from ${address}`] : [])]
  const about = element(
    'p',
    { class: 'facts' },
    ...all.flatMap((fact, i) => (i > 0 ? [' · ', fact] : [fact])),
  )
  const details = element(
    'details',
    {},
    element('summary', {}, element('i', { class: 'dot' }), ...summary),
    about,
  )
  if (omitted > 0)
    details.append(element('p', { class: 'note' }, `${count(omitted)} earlier connections are left out.`))
  if (carriers.length > 0) details.append(diary(carriers, until))
  return element('li', {}, details)
}

/**
 * @param {readonly ServerCarrierEntry[]} carriers
 * @param {number | undefined} until
 */
function diary(carriers, until) {
  const head = ['Began', 'Transport', 'Lasted', 'By', 'Why', 'Received', 'Confirmed']
  const rows = carriers.map(({ at, transport, ended, by, why, received, acknowledged }) => {
    const lasted = ended ?? (until === undefined ? undefined : until - at)
    const cells = [
      time(at),
      transportNames[transport] ?? transport,
      lasted === undefined ? 'in use' : duration(lasted),
      by ?? '–',
      why ?? (until === undefined ? '–' : 'the session ended'),
      count(received),
      count(acknowledged),
    ]
    return element('tr', {}, ...cells.map((cell) => element('td', {}, cell)))
  })
  const caption = element('caption', { class: 'unseen' }, 'The connections of the session, oldest first')
  const headRow = element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name)))
  const table = element('table', {}, caption, element('thead', {}, headRow), element('tbody', {}, ...rows))
  return element('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Diary' }, table)
}
