// "Check this network": shows the report of `npx everwire doctor` for the network of this page.

const $ = (selector) => document.querySelector(selector)
const names = { websocket: 'WebSocket', stream: 'Stream', sse: 'Event stream', polling: 'Long polling' }
const marks = { good: '✓', fair: '~', bad: '✕', unknown: '…' }

let running

function element(name, className, text = '') {
  const made = document.createElement(name)
  made.className = className
  made.textContent = text
  return made
}

function howIs(found) {
  if (!found || found.outcome === 'unknown') return 'unknown'
  return found.outcome === 'works' ? 'good' : found.usable ? 'fair' : 'bad'
}

const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`)
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? '' : '.')

function draw(transports, done, of) {
  $('#check-progress').max = of
  $('#check-progress').value = done
  $('#check-transports').hidden = false
  $('#check-transports').replaceChildren(
    ...Object.entries(names).map(([transport, name]) => {
      const found = transports[transport]
      const item = element('li', howIs(found))
      item.dataset.transport = transport
      item.dataset.outcome = found?.outcome ?? ''
      const mark = element('i', 'mark', marks[howIs(found)])
      mark.ariaHidden = 'true'
      const trip = element('span', 'trip', found?.roundTrip ? milliseconds(found.roundTrip) : '')
      item.append(mark, element('b', '', name), trip)
      item.append(element('small', '', found ? sentence(found.says) : running ? 'Being tried …' : ''))
      return item
    }),
  )
}

function conclude({ transports, server, plan, advice }) {
  draw(transports, 1, 1)
  const known = server.kind === 'everwire'
  const list = (texts) => {
    const made = element('ul', 'said')
    made.append(...texts.map((text) => element('li', '', text)))
    return made
  }
  const shown = known ? [element('h3', '', 'What everwire does here'), list(plan.says)] : []
  if (!known) shown.push(element('p', '', sentence(server.says)))
  if (advice.length > 0) shown.push(element('h3', '', 'What can be done'), list(advice))
  $('#check-verdict').replaceChildren(...shown)
}

async function check() {
  running = new AbortController()
  $('#check').ariaBusy = 'true'
  $('#check-button span').textContent = 'Stop'
  $('#check-progress').hidden = false
  $('#check-verdict').replaceChildren()
  draw({}, 0, 1)
  try {
    const { examine } = await import('./everwire/doctor/browser.js')
    const { signal } = running
    const onProgress = ({ transports, done, of }) => draw(transports, done, of)
    conclude(await examine('realtime', { signal, onProgress }))
  } catch {
    $('#check-transports').hidden = true
    if (!running.signal.aborted) $('#check-verdict').textContent = 'The check itself could not be loaded.'
  }
  running = undefined
  $('#check').ariaBusy = 'false'
  $('#check-progress').hidden = true
  $('#check-button span').textContent = 'Check this network'
}

$('#check-button').addEventListener('click', () => (running ? running.abort() : check()))
