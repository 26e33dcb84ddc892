// The chat: sign-in, one socket, the log. The view of the network is in panel.js.
import { panel } from './panel.js'
import { Tally } from './tally.js'

const $ = (selector) => document.querySelector(selector)
const grouped = 3 * 60 * 1000
const trafficEvery = 50
const facesShown = 3

let me = ''
let socket
let tally
let sent
let delivered
let serverTally
let pending // number of a message of mine → its element, until the server has it
let retry = 1_000
const people = new Set()

// Signing in

async function post(path, body = {}) {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  return { ok: response.ok, ...(await response.json()) }
}

async function start() {
  try {
    const { name, suggestion, network } = await (await fetch('me')).json()
    $('#suggestion').textContent = suggestion
    if (name) enter(name, network)
    else {
      if (me) $('#name-note').textContent = 'The chat does not know you any more: come in again.'
      $('#name').value ||= me
      show('door')
    }
    retry = 1_000
  } catch {
    notice('The server does not answer. Trying again …')
    setTimeout(start, retry)
    retry = Math.min(retry * 2, 10_000)
  }
}

function show(view) {
  $('#door').hidden = view !== 'door'
  $('#room').hidden = view !== 'room'
  // Focusing would open the keyboard of a phone.
  if (matchMedia('(pointer: fine)').matches) $(view === 'door' ? '#name' : '#text').focus()
}

$('#sign-in').addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = await post('sign-in', { name: $('#name').value }).catch(() => ({
    error: 'The server does not answer.',
  }))
  $('#name-note').textContent = answer.error ?? ''
  if (answer.suggestion) $('#suggestion').textContent = answer.suggestion
  if (answer.ok) enter(answer.name)
  else $('#name').select()
})

$('#suggestion').addEventListener('click', () => {
  $('#name').value = $('#suggestion').textContent
  $('#sign-in button.primary').focus()
})

$('#sign-out').addEventListener('click', async () => {
  await post('sign-out').catch(() => {})
  location.reload()
})

// The socket

function enter(name, network = { websocket: true, streaming: true }) {
  me = name
  $('#my-name').textContent = name
  sent = delivered = 0
  tally = new Tally()
  serverTally = { missing: 0, repeated: 0, disordered: 0 }
  pending = new Map()
  show('room')
  panel.network(network)

  socket = new everwire.WebSocket('realtime')
  socket.addEventListener('open', () => panel.transport(socket.transport))
  socket.addEventListener('transportchange', () => panel.transport(socket.transport))
  socket.addEventListener('message', (event) => receive(JSON.parse(event.data)))
  socket.addEventListener('close', ({ code, reason }) => {
    panel.transport(null)
    notice(`The session ended (${reason || code}). Coming back …`)
    setTimeout(start, retry)
  })
}

function send(type, text) {
  sent++
  socket.send(JSON.stringify({ n: sent, type, text }))
  panel.bead('up')
  count()
  return sent
}

function receive(message) {
  tally.take(message.from, message.n)
  panel.bead('down')
  actions[message.type]?.(message)
  count()
}

const actions = {
  welcome({ next, history, people: here }) {
    for (const [series, number] of Object.entries(next)) tally.expect(series, number)
    $('#log').replaceChildren()
    $('#empty').hidden = false
    for (const message of history) addMessage(message)
    people.clear()
    for (const name of here) people.add(name)
    showPeople()
    notice('')
  },
  heartbeat: (beat) => panel.beat(beat),
  chat(message) {
    addMessage(message).classList.add('arrives')
    unread(document.hidden ? unseen + 1 : 0)
  },
  test: () => {},
  hello: ({ text, at }) => addMessage({ text, at, name: 'server', isServer: true }).classList.add('arrives'),
  got({ got, missing, repeated, disordered }) {
    delivered++
    serverTally = { missing, repeated, disordered }
    pending.get(got)?.classList.remove('pending')
    pending.delete(got)
  },
  joined({ name }) {
    people.add(name)
    showPeople()
    addLine(`${name} joined`)
  },
  left({ name }) {
    people.delete(name)
    showPeople()
    addLine(`${name} left`)
  },
}

function count() {
  const server = tally.receivedOf('room') + tally.receivedOf('server')
  panel.counts({
    sent,
    delivered,
    server,
    people: tally.received - server,
    missing: tally.missing + serverTally.missing,
    repeated: tally.repeated + serverTally.repeated,
    disordered: tally.disordered + serverTally.disordered,
  })
}

// The log. Messages are inserted as text, never as HTML.

function element(name, className, text = '') {
  const made = document.createElement(name)
  made.className = className
  made.textContent = text
  return made
}

function colour(made, name) {
  let hue = 0
  for (const character of name) hue = (hue * 31 + character.codePointAt(0)) % 360
  made.style.setProperty('--hue', hue)
  return made
}

/** Whether the end of the log is in view: then it stays in view, also when the panel opens. */
let following = true
let topBefore = 0
$('#scroller').addEventListener('scroll', look)
new ResizeObserver(follow).observe($('#scroller'))

/** Nobody has scrolled up if there is only less room than before, or if the log has grown since this page scrolled to its end. */
function look() {
  const { scrollTop, scrollHeight, clientHeight } = $('#scroller')
  const atEnd = scrollHeight - scrollTop - clientHeight < 120
  if (atEnd || scrollTop < topBefore) following = atEnd
  topBefore = scrollTop
}

function follow() {
  const scroller = $('#scroller')
  // Somebody may have scrolled, and the event is still to come.
  look()
  if (following) scroller.scrollTop = scroller.scrollHeight
  topBefore = scroller.scrollTop
}

function add(made) {
  $('#log').append(made)
  if ($('#log').childElementCount > 500) $('#log').firstElementChild.remove()
  $('#empty').hidden = $('#log').querySelector('.message') !== null
  follow()
  return made
}

function addMessage({ name, text, at, isServer }) {
  const item = element('li', 'message')
  const last = $('#log').lastElementChild
  const follows = last?.dataset.name === name && at - Number(last.dataset.at) < grouped && !isServer
  item.dataset.name = name
  item.dataset.at = at
  item.classList.toggle('mine', name === me && !isServer)
  item.classList.toggle('server', Boolean(isServer))
  item.classList.toggle('follows', follows)
  colour(item, name)

  const head = element('p', 'head')
  const time = element(
    'time',
    '',
    new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }),
  )
  time.dateTime = new Date(at).toISOString()
  head.append(element('b', '', name), time)
  item.append(head, element('p', 'text', text))
  return add(item)
}

const addLine = (text) => add(element('li', 'line', text))

let unseen = 0
function unread(number) {
  unseen = number
  document.title = number > 0 ? `(${number}) everwire chat` : 'everwire chat'
}
document.addEventListener('visibilitychange', () => unread(0))

function notice(text) {
  $('#notice').textContent = text
}

function showPeople() {
  const shown = [...people].sort((a, b) => Number(b === me) - Number(a === me) || a.localeCompare(b))
  const items = shown.slice(0, facesShown).map((name) => {
    const item = colour(element('li', name === me ? 'me' : ''), name)
    const initial = element('span', '', [...name][0].toUpperCase())
    initial.ariaHidden = 'true'
    item.title = name === me ? `${name} (you)` : name
    item.append(initial, element('span', 'unseen', item.title))
    return item
  })
  if (shown.length > facesShown) items.push(element('li', 'more', `+${shown.length - facesShown}`))
  $('#people').replaceChildren(...items)
}

// Writing

$('#composer').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = $('#text').value.trim()
  if (!text || socket.readyState > 1) return
  if (socket.readyState === 0) return notice('Still connecting …')
  const item = addMessage({ name: me, text, at: Date.now() })
  item.classList.add('pending', 'arrives')
  pending.set(send('chat', text), item)
  following = true
  follow()
  $('#text').value = ''
})

$('#text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  $('#composer').requestSubmit()
})

// Making the network worse: the server does it to all connections of this visitor.

async function change(network) {
  const state = await post('network', network).catch(() => ({}))
  if (state.ok) panel.network(state)
}

for (const name of ['websocket', 'streaming']) {
  $(`#forbid-${name}`).addEventListener('change', ({ target }) => change({ [name]: !target.checked }))
}
$('#cut').addEventListener('click', () => change({ cut: true }))

let traffic
$('#traffic').addEventListener('change', ({ target }) => {
  clearInterval(traffic)
  if (target.checked) {
    traffic = setInterval(() => socket.readyState === 1 && send('test', `test ${sent + 1}`), trafficEvery)
  }
})

start()
