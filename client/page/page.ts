/** Tells sockets what happens to their page: https://html.spec.whatwg.org/multipage/document-lifecycle.html */
import type { PageWatcher } from '../base/natives.ts'
import type { NetworkSignal } from '../base/types.ts'
import { frozen, isSeen, unseen } from './slots.ts'

const watchers = new Set<PageWatcher>()

/** Tells `watcher` of the page. One whose session is done takes no notice, and is forgotten when the next comes. */
export function watchPage(watcher: PageWatcher): void {
  if (!listening) listen()
  for (const other of watchers) if (other.session.done) watchers.delete(other)
  watchers.add(watcher)
}

let listening = false

/** The URL that the page's policy has forbidden last. */
let forbidden: string | undefined

/** Says so of an error or an event, if that is what it is about: the browser tells the page, and not whoever connects. */
export function explain<Trouble extends object>(trouble: Trouble, url: string): Trouble {
  return Object.assign(
    trouble,
    url === forbidden && { name: 'SecurityError', message: 'Content Security Policy' },
  )
}

/** Adds the listeners once and never removes them: three listeners cost less than removing them correctly. */
function listen(): void {
  listening = true
  const on = (target: EventTarget | undefined, type: string, run: (event: Event) => void) =>
    target?.addEventListener?.(type, run)
  const { document, navigator } = globalThis
  const sign = (what: NetworkSignal['sign']) => () => {
    for (const watcher of watchers) watcher.sign(what)
  }
  on(globalThis, 'online', sign('online'))
  on(globalThis, 'securitypolicyviolation', (event) => {
    const { disposition, blockedURI } = event as SecurityPolicyViolationEvent
    if (disposition === 'enforce') forbidden = blockedURI
  })
  on((navigator as { connection?: EventTarget } | undefined)?.connection, 'change', sign('network'))
  on(document, 'freeze', frozen)
  on(document, 'resume', sign('wake'))
  on(document, 'visibilitychange', () => (isSeen() ? sign('visible')() : unseen()))
  on(globalThis, 'pagehide', (event) => sign((event as PageTransitionEvent).persisted ? 'away' : 'leaving')())
  // Also when the page loads: nobody who was not away heeds it.
  on(globalThis, 'pageshow', sign('back'))
}
