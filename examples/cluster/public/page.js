// The page: its socket, the room, and the buttons of the servers.
const byId = (id) => document.getElementById(id)
const longestRoom = 200
/** After its server was killed the page waits so long before it opens a new session, in milliseconds. */
const pause = 500

let socket
let node
const states = {}

function connect() {
  const { value } = byId('transport')
  const own = new globalThis.everwire.WebSocket('/realtime', [], value ? { transports: [value] } : {})
  socket = own
  own.onmessage = ({ data }) => take(JSON.parse(data))
  own.ontransportchange = showStatus
  own.onstatuschange = showStatus
  own.onclose = ({ code, reason }) => {
    if (own !== socket) return
    note(`close ${code} ${reason}`)
    setTimeout(() => own === socket && connect(), pause)
  }
}

function take({ node: owner, recovered, text, number, from, nodes }) {
  if (nodes) showNodes(nodes)
  else if (owner) {
    if (node !== owner)
      note(recovered ? `${owner} goes on with the session of ${node}` : `${owner} has opened a session`)
    node = owner
    showStatus()
    showNodes(states)
  } else add(`${text}`, `message ${number} of a client of ${from}`)
}

function showStatus() {
  const { status, transport } = socket
  byId('status').textContent =
    status === 'open' && node
      ? `The server ${node} has this page’s session. Transport: ${transport}`
      : `${status[0].toUpperCase()}${status.slice(1)} …`
}

function showNodes(nodes) {
  Object.assign(states, nodes)
  byId('nodes').replaceChildren(
    ...Object.entries(states).map(([name, state]) => {
      const item = document.createElement('li')
      item.style.setProperty('--node', name)
      const words = document.createElement('span')
      words.textContent = `${name}: ${state}${name === node ? ', has this page’s session' : ''}`
      const buttons = state === 'gone' ? ['start'] : ['kill', 'restart']
      item.append(words, ...buttons.map((action) => button(name, action, state)))
      return item
    }),
  )
}

function button(name, action, state) {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = action
  made.disabled = state !== 'up' && state !== 'gone'
  made.onclick = () => fetch(`/nodes/${name}/${action}`, { method: 'POST', headers: { 'X-Example': '1' } })
  return made
}

function add(text, title = '', kind = '') {
  const item = document.createElement('li')
  item.textContent = text
  item.title = title
  item.className = kind
  const room = byId('room')
  room.append(item)
  while (room.children.length > longestRoom) room.firstChild.remove()
}

const note = (text) => add(text, '', 'note')

byId('form').onsubmit = (event) => {
  event.preventDefault()
  const { value } = byId('text')
  if (value === '' || socket.readyState !== 1) return
  socket.send(value)
  byId('text').value = ''
}
byId('transport').onchange = () => {
  const last = socket
  connect()
  last.close()
}
showNodes(await (await fetch('/nodes')).json())
connect()
