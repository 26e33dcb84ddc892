// The page: opens a socket to its own address, and shows what the server tells.
import { Chart } from './chart.js'
import { showCluster } from './cluster.js'
import { Ended, Troubled } from './diaries.js'
import {
  bytes,
  count,
  day,
  duration,
  rate,
  reasons,
  some,
  statuses,
  transportNames,
  transports,
} from './words.js'

/** @typedef {import('../../sockets/statistics.ts').ServerStats} ServerStats */
/** @typedef {import('../history.ts').Sample} Sample */

const maxSamples = 180
/** A hidden page lets its socket go after this time, and opens another when it is seen again. */
const hiddenFor = 60_000
/** The server ended the socket so that the next one passes the guard again. */
const again = 4000
/** A rate is taken over this many of the latest numbers. */
const smoothOver = 4

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const main = byId('main')

/** @param {string} id @param {string} text */
function say(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

const clientSeries = [
  ...transports.map((name) => ({
    name,
    label: transportNames[name] ?? name,
    value: (/** @type {Sample} */ { carriers }) => carriers[name],
    format: count,
  })),
  {
    name: 'plain',
    label: 'Ordinary WebSocket',
    value: (/** @type {Sample} */ one) => one.plain,
    format: count,
  },
  { name: 'resuming', label: 'Resuming', value: (/** @type {Sample} */ one) => one.resuming, format: count },
]
const messageSeries = [
  { name: 'received', label: 'Received', value: (/** @type {any} */ one) => one.received, format: rate },
  { name: 'sent', label: 'Sent', value: (/** @type {any} */ one) => one.sent, format: rate },
]

const clients = new Chart(byId('clients-chart'), clientSeries, true)
const messages = new Chart(byId('messages-chart'), messageSeries, false)
const ended = new Ended(byId('ended'))
const troubled = new Troubled(byId('troubled'))

/** @type {Sample[]} */
let samples = []
/** The latest numbers, oldest first. @type {Sample[]} */
let latest = []
/** Which process the numbers are of: another one begins at other numbers. */
let source = ''

/** @param {ServerStats} stats @param {number} at @returns {Sample} */
function sampleOf({ sessions, plain, received, sent, memory }, at) {
  return { at, ...sessions, plain: plain.open, received, sent, memory: memory.used }
}

/** Messages or bytes a second between two samples. @param {Sample} from @param {Sample} to */
function ratesBetween(from, to) {
  const seconds = Math.max(0.001, (to.at - from.at) / 1_000)
  const per = (/** @type {'received' | 'sent'} */ way, /** @type {'messages' | 'bytes'} */ what) =>
    Math.max(0, (to[way][what] - from[way][what]) / seconds)
  return {
    at: to.at,
    received: per('received', 'messages'),
    sent: per('sent', 'messages'),
    bytesReceived: per('received', 'bytes'),
    bytesSent: per('sent', 'bytes'),
  }
}

/** @param {any} message */
function show({ type, at, pid, stats, ...told }) {
  if (type === 'all') {
    const from = `${pid} ${stats.since}`
    if (from !== source) ended.clear()
    source = from
    samples = told.samples
    latest = samples.slice(-1)
    say('process', `Process ${pid}`)
    for (const [reason, words] of told.reasons) reasons.set(reason, words[0].toUpperCase() + words.slice(1))
  } else if (told.sample) samples = [...samples, told.sample].slice(-maxSamples)
  const present = sampleOf(stats, at)
  latest = [...latest, present].slice(-smoothOver)
  const now = ratesBetween(latest[0] ?? present, present)
  tiles(stats, now)
  const points = [...samples.filter((sample) => sample.at < at), present]
  clients.show(points, at)
  // Over the moment since the last sample a rate would jump.
  const rates = points.slice(1, -1).map((point, i) => ratesBetween(points[i] ?? point, point))
  messages.show([...rates, now], at)
  totals(stats, at)
  showCluster(told.cluster)
  ended.show(told.ended, at)
  troubled.show(told.troubled, at)
  counts()
  main.removeAttribute('data-stale')
}

/** @param {ServerStats} stats @param {ReturnType<typeof ratesBetween>} now */
function tiles({ sessions, plain, waiting, memory }, now) {
  say('connected', count(sessions.open + plain.open))
  say('connected-note', `${some(sessions.open, 'session')}, ${count(plain.open)} ordinary`)
  say('resuming', count(sessions.resuming))
  say('received', rate(now.received))
  say('received-note', `messages, ${bytes(now.bytesReceived)}/s`)
  say('sent', rate(now.sent))
  say('sent-note', `messages, ${bytes(now.bytesSent)}/s`)
  say('waiting', count(waiting.messages))
  say('waiting-note', `messages, ${bytes(waiting.bytes)}`)
  say('memory', bytes(memory.used))
  say('memory-note', `of ${bytes(memory.limit)}`)
  const meter = /** @type {HTMLMeterElement} */ (byId('meter'))
  meter.value = (100 * memory.used) / memory.limit
}

/** @param {ServerStats} stats @param {number} at */
function totals({ since, sessions, plain, refused, replayed }, at) {
  say('since', `${day(since)}, ${duration(at - since)} ago`)
  rows(
    'opened',
    [
      ...transports.map((name) => [
        transportNames[name] ?? '',
        sessions.opened[name],
        sessions.resumed[name],
      ]),
      ['Ordinary', plain.opened, '–'],
    ],
    '',
  )
  const moves = transports.flatMap((from) =>
    transports.map((to) => [`${transportNames[from]} → ${transportNames[to]}`, sessions.moved[from][to]]),
  )
  rows('moved', moves.filter(isSome), 'No session has moved.')
  const gone = [...reasons].map(([reason, words]) => {
    const key = /** @type {keyof typeof plain.gone} */ (reason)
    return [words, sessions.gone[key] + plain.gone[key]]
  })
  rows('gone', gone.filter(isSome), 'Nobody has gone.')
  const statusRows = Object.entries(refused).map(([status, times]) => [
    `${status} ${statuses[status] ?? ''}`,
    times,
  ])
  rows('refused', statusRows, 'Nothing was refused.')
  const again = `${some(replayed.messages, 'message')} (${bytes(replayed.bytes)}) had to be sent once more after a loss.`
  const asked = some(sessions.unknown, 'request asked', 'requests asked')
  say('notes', `${again} ${asked} for a session that is not here.`)
}

/** @param {(string | number)[]} row */
const isSome = ([, value]) => value !== 0

/**
 * @param {string} id
 * @param {readonly (readonly (string | number)[])[]} wanted
 * @param {string} none what to say if there is no row
 */
function rows(id, wanted, none) {
  const body = /** @type {HTMLTableSectionElement} */ (byId(id).querySelector('tbody'))
  const told = JSON.stringify(wanted)
  if (body.dataset.told === told) return
  body.dataset.told = told
  const made = wanted.map((cells) => {
    const row = document.createElement('tr')
    for (const [index, cell] of cells.entries()) {
      const made = document.createElement(index === 0 ? 'th' : 'td')
      if (index === 0) made.setAttribute('scope', 'row')
      made.textContent = typeof cell === 'number' ? count(cell) : cell
      row.append(made)
    }
    return row
  })
  if (made.length === 0) {
    const row = document.createElement('tr')
    const cell = Object.assign(document.createElement('td'), {
      colSpan: 2,
      className: 'empty',
      textContent: none,
    })
    row.append(cell)
    made.push(row)
  }
  body.replaceChildren(...made)
}

/** Says how many entries the lists have, and what an empty one means. */
function counts() {
  for (const id of ['troubled', 'ended']) {
    const section = /** @type {HTMLElement} */ (byId(id).closest('section'))
    const isFiltered = id === 'ended' && section.hasAttribute('data-filtered')
    const shown = byId(id).querySelectorAll(isFiltered ? ':scope > [data-tone="bad"]' : ':scope > li').length
    const number = /** @type {HTMLElement} */ (section.querySelector('.count'))
    number.textContent = shown === 0 ? '' : String(shown)
    const empty = /** @type {HTMLElement} */ (section.querySelector('.empty'))
    empty.hidden = shown > 0
    if (id === 'ended')
      empty.textContent = isFiltered
        ? 'Nothing went wrong with the last clients that have gone.'
        : 'No client has gone since the page was mounted.'
  }
}

const onlyTrouble = /** @type {HTMLInputElement} */ (byId('only-trouble'))
onlyTrouble.addEventListener('change', () => {
  onlyTrouble.closest('section')?.toggleAttribute('data-filtered', onlyTrouble.checked)
  counts()
})

// The socket

/** @type {any} */
let socket
let attempts = 0
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer

/** @param {'connecting' | 'live' | 'resuming' | 'away'} state @param {string} text */
function tellState(state, text) {
  const element = byId('state')
  element.dataset.state = state
  const words = /** @type {HTMLElement} */ (element.lastElementChild)
  if (words.textContent !== text) words.textContent = text
  if (state === 'resuming' || state === 'away') main.setAttribute('data-stale', '')
}

/** @param {string} text empty: nothing to tell */
function alarm(text) {
  const element = byId('alert')
  element.hidden = text === ''
  if (element.textContent !== text) element.textContent = text
}

function connect() {
  clearTimeout(timer)
  const url = new URL(location.href)
  url.search = '?everwire-status'
  url.hash = ''
  const mine = new /** @type {any} */ (window).everwire.WebSocket(url.href)
  socket = mine
  mine.onmessage = (/** @type {{ data: string }} */ { data }) => {
    attempts = 0
    alarm('')
    show(JSON.parse(data))
    tellCarrier(mine)
  }
  mine.ontransportchange = () => tellCarrier(mine)
  mine.onclose = (/** @type {{ code: number }} */ { code }) => {
    if (mine !== socket) return
    socket = undefined
    if (code === again) connect()
    else if (!document.hidden) retry()
  }
}

/** @param {any} of */
function tellCarrier(of) {
  if (of !== socket || of.readyState !== 1) return
  if (of.transport) tellState('live', `Live over ${transportNames[of.transport]}`)
  else tellState('resuming', 'Connection lost, resuming')
}

/** Finds out why there is no socket, says so, and tries again later. */
async function retry() {
  attempts++
  const wait = Math.min(15_000, 500 * 2 ** attempts)
  tellState('away', 'Not connected, trying again')
  const status = await statusNow()
  if (status === 0) alarm('The server does not answer. This page tries again by itself.')
  else if (status === 503) alarm('The server is closing or full. This page tries again by itself.')
  else if (status >= 200 && status < 300)
    alarm(attempts > 2 ? 'The page loads, but its connection does not open.' : '')
  else
    alarm(
      `You are no longer let in${status > 0 ? ` (status ${status})` : ''}. Sign in again, then reload this page.`,
    )
  clearTimeout(timer)
  if (!socket && !document.hidden) timer = setTimeout(connect, wait)
}

/** What the guard says of this page now: a status; 0 without an answer, below 0 for a redirect. */
async function statusNow() {
  try {
    const answer = await fetch(location.href, { method: 'HEAD', redirect: 'manual', cache: 'no-store' })
    return answer.type === 'opaqueredirect' ? -1 : answer.status
  } catch {
    return 0
  }
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer)
  if (!document.hidden) {
    if (!socket) connect()
  } else
    timer = setTimeout(() => {
      const old = socket
      socket = undefined
      old?.close(1000)
      tellState('away', 'Paused while the page is hidden')
    }, hiddenFor)
})

counts()
connect()
