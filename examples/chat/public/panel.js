// The network panel: the cable with its messages, the timeline, the counts. It only shows.

const $ = (selector) => document.querySelector(selector)
const svg = (name, attributes) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

const names = {
  websocket: 'WebSocket',
  stream: 'Stream',
  sse: 'Event stream',
  polling: 'Long polling',
  none: 'reconnecting',
}
const shownMs = 60_000
const beadMs = 700
const maxBeads = 24
const calm = matchMedia('(prefers-reduced-motion: reduce)')

/** The transports of the session and when each began, newest last. */
const changes = []
const beads = new Set()
let lastBeat = 0

function transport(name) {
  const now = name ?? 'none'
  if (changes.at(-1)?.name === now) return
  changes.push({ name: now, at: Date.now() })
  while (changes.length > 200) changes.shift()
  for (const shown of document.querySelectorAll('.transport-name')) shown.textContent = names[now]
  for (const shown of [$('#wire'), $('#panel-button')]) shown.dataset.transport = now
  if (now !== 'none') $('#transport-status').textContent = `Connected: ${names[now]}`
  drawChanges()
}

function drawChanges() {
  const now = Date.now()
  const parts = changes.map(({ name, at }, index) => ({ name, at, end: changes[index + 1]?.at ?? now }))
  const x = (time) => Math.max(0, 600 - ((now - time) / shownMs) * 600)
  $('#timeline g').replaceChildren(
    ...parts
      .filter(({ end }) => now - end < shownMs)
      .map(({ name, at, end }) =>
        svg('rect', { class: name, x: x(at), y: 0, width: Math.max(x(end) - x(at), 3), height: 26 }),
      ),
  )
  $('#changes').replaceChildren(
    ...parts
      .slice(-3)
      .reverse()
      .map(({ name, at, end }) => {
        const item = document.createElement('li')
        const [dot, label, time] = ['i', 'span', 'time'].map((tag) => document.createElement(tag))
        item.dataset.transport = name
        dot.className = 'dot'
        label.textContent = name === 'none' ? 'nothing' : names[name]
        time.textContent = length(end - at)
        item.append(dot, label, time)
        return item
      }),
  )
}

function length(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Shows a message on its way along the cable. */
function bead(direction) {
  if (calm.matches || document.hidden || beads.size >= maxBeads || $('#wire').dataset.transport === 'none')
    return
  const circle = svg('circle', { r: 4, class: direction })
  $('#beads').append(circle)
  beads.add({ circle, direction, start: performance.now() })
  if (beads.size === 1) requestAnimationFrame(moveBeads)
}

function moveBeads(now) {
  const cable = $('#cable')
  const full = cable.getTotalLength()
  for (const one of beads) {
    const part = Math.max(0, (now - one.start) / beadMs)
    if (part >= 1) {
      one.circle.remove()
      beads.delete(one)
      continue
    }
    const eased = part * part * (3 - 2 * part)
    const { x, y } = cable.getPointAtLength(full * (one.direction === 'up' ? eased : 1 - eased))
    one.circle.setAttribute('cx', x)
    one.circle.setAttribute('cy', y)
  }
  if (beads.size > 0) requestAnimationFrame(moveBeads)
}

function beat({ beats, online }) {
  lastBeat = Date.now()
  $('#beats').textContent = beats
  $('#online').textContent = `${online} here`
  const heart = $('#heart')
  heart.classList.remove('beats')
  heart.getBoundingClientRect()
  heart.classList.add('beats')
  drawAge()
}

function drawAge() {
  if (!lastBeat) return
  const age = Date.now() - lastBeat
  $('#age').textContent = `${length(age)} ago`
  $('#pulse').classList.toggle('late', age > 5_000)
}

function counts(values) {
  for (const [name, value] of Object.entries(values)) {
    for (const shown of document.querySelectorAll(`[data-count=${name}]`))
      if (shown.textContent !== String(value)) shown.textContent = value
  }
  const onTheWay = values.sent - values.delivered
  const isWhole = values.missing + values.repeated + values.disordered === 0
  $('#faults').classList.toggle('bad', !isWhole)
  const verdict = !isWhole
    ? 'Something went wrong: please report it.'
    : onTheWay > 0
      ? `All once and in order; ${onTheWay} on the way.`
      : 'Everything arrived, once and in order.'
  if ($('#verdict').textContent !== verdict) $('#verdict').textContent = verdict
}

function network({ websocket, streaming }) {
  $('#forbid-websocket').checked = !websocket
  $('#forbid-streaming').checked = !streaming
}

$('#panel-button').addEventListener('click', () => {
  const open = $('#room').classList.toggle('panel-open')
  $('#panel-button').ariaExpanded = String(open)
})

setInterval(() => {
  if (document.hidden) return
  drawAge()
  if (changes.length > 0) drawChanges()
}, 250)

export const panel = { transport, bead, beat, counts, network }
