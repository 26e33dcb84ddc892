// The cluster: its nodes, and what goes between them. A server alone has none.
import { bytes, count, some } from './words.js'

/** @typedef {import('../../base/cluster.ts').ClusterView} ClusterView */
/** @typedef {import('../../base/cluster.ts').NodeView} NodeView */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))

const states = {
  joining: 'This server has not joined yet',
  up: 'Redis answers',
  down: 'Redis does not answer',
}

/** @param {string} id @param {string} text */
function say(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

/** @param {NodeView} node */
function stateOf({ isHere, isDraining, isForeign }) {
  if (isForeign) return 'other version'
  if (isDraining) return 'drains'
  return isHere ? 'this one' : ''
}

/** @param {NodeView} node */
function cellsOf(node) {
  const way = node.isRelayed ? 'through Redis' : node.address || 'nowhere'
  return [
    node.name,
    stateOf(node),
    way,
    node.version,
    node.sessions === undefined ? '–' : count(node.sessions),
    node.isHere ? '–' : count(node.fromHere),
    node.isHere ? '–' : count(node.toHere),
  ]
}

/** @param {ClusterView | undefined} view undefined: the server is alone */
export function showCluster(view) {
  const section = byId('cluster')
  section.hidden = !view
  if (!view) return
  const { stats, topics, nodes, reason } = view
  section.dataset.state = stats.state
  say('cluster-count', count(nodes.length))
  say('store', `${states[stats.state]}${reason ? `: ${reason}` : ''}`)
  say('forwarded', `${count(stats.passing)} now, ${count(stats.passed)} since the start`)
  say('relayed', `${count(stats.relayed)} of them through Redis`)
  say('moved-out', `${some(stats.handedOver, 'session')} to other servers`)
  say('moved-in', `${some(stats.received, 'session')} from other servers`)
  say('heard', `${some(topics.heard, 'topic')} heard, ${count(topics.behind)} behind`)
  const { messages, bytes: size } = stats.waiting
  say('unpublished', `${some(messages, 'message')} to be published, ${bytes(size)}`)
  rows(nodes)
}

// A wide table scrolls on a phone, also by keys.
Object.assign(byId('nodes-scroll'), { tabIndex: 0, role: 'group', ariaLabel: 'The servers of the cluster' })

/** @param {readonly NodeView[]} nodes */
function rows(nodes) {
  const body = /** @type {HTMLElement} */ (byId('nodes').querySelector('tbody'))
  const told = JSON.stringify(nodes)
  if (body.dataset.told === told) return
  body.dataset.told = told
  body.replaceChildren(
    ...nodes.map((node) => {
      const row = document.createElement('tr')
      for (const [at, text] of cellsOf(node).entries()) {
        const cell = document.createElement(at === 0 ? 'th' : 'td')
        if (at === 0) cell.setAttribute('scope', 'row')
        cell.textContent = text
        row.append(cell)
      }
      if (node.isDraining || node.isForeign) row.dataset.tone = 'warm'
      return row
    }),
  )
}
