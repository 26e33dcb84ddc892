/** Tells sockets what happens to their page: https://html.spec.whatwg.org/multipage/document-lifecycle.html */
import type { PageWatcher } from '../base/natives.ts'
import type { NetworkSignal } from '../base/types.ts'
import { frozen, isSeen, unseen } from './slots.ts'

const watchers = new Set<PageWatcher>()

/** Tells `watcher` of the page's events. A watcher whose session is done is forgotten when the next one comes. */
export function watchPage(watcher: PageWatcher): void {
  if (!listening) listen()
  for (const other of watchers) if (other.session.done) watchers.delete(other)
  watchers.add(watcher)
}

let listening = false

/** The URL that the page's policy has forbidden last. */
let forbidden: string | undefined

/** Adds to an error or event that the page's policy forbade the URL, if it did: the browser tells only the page of that. */
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
  // The event also comes when the page loads: a pilot that is not away ignores it.
  on(globalThis, 'pageshow', sign('back'))
}
