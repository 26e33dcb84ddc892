/**
 * Leave to keep a connection busy. Over HTTP/1.1 a browser has six to a host, for all its pages together: if all were held,
 * no page would load any more, and none could say anything. So all pages, and all sockets of a page, share a few slots.
 */

/** So many are for anybody … */
const common = 3
/** … and the one after them only for pages that are seen: they do not have to wait behind those that are not. */
const total = common + 1
/** A lease counts for so long after its page was heard last: hidden pages may act once a minute … */
const leaseLife = 90_000
/** … and is renewed in time. */
const renewal = 20_000
/** Of two pages that take the same lease at once the later has it: both know after so long. */
const settling = 100

interface Holder {
  readonly onlySeen: boolean
  readonly giveBack: () => void
  release: () => void
}

/** What this page has, or is about to have. */
const holders = new Map<string, Holder>()
let listening = false

/**
 * For an exchange with `url`. Returns how to give it back, or undefined: none is free now. `giveBack` is called when it
 * should be given back soon. `remember`: something may be written where other pages see it.
 */
export async function slotTo(
  url: string,
  remember: boolean,
  giveBack: () => void,
): Promise<(() => void) | undefined> {
  // A later protocol needs one connection for all. An exchange was complete before one is held, so this is known by now.
  const [entry] = performance.getEntriesByName(url).slice(-1) as PerformanceResourceTiming[]
  if (/^h[23]/.test(entry?.nextHopProtocol ?? '')) return () => {}
  listen()
  for (let i = 0; i < total; i++) {
    const onlySeen = i >= common
    const name = `everwire ${new URL(url).origin} ${i}`
    if (holders.has(name) || (onlySeen && globalThis.document?.visibilityState !== 'visible')) continue
    const holder: Holder = { onlySeen, giveBack, release: () => {} }
    holders.set(name, holder)
    const free = await take(name, remember, giveBack)
    if (!free) holders.delete(name)
    else {
      holder.release = () => {
        if (holders.get(name) !== holder) return
        holders.delete(name)
        free()
      }
      return holder.release
    }
  }
  return undefined
}

function listen(): void {
  if (listening) return
  listening = true
  const { document } = globalThis
  document?.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') return
    for (const { onlySeen, giveBack } of holders.values()) if (onlySeen) giveBack()
  })
  // What a frozen page holds ends before long, whatever it does; it could not give its slot back then.
  document?.addEventListener('freeze', () => {
    for (const { release } of holders.values()) release()
  })
}

/**
 * A lock ends with its page, however that ends, but pages that did not come over TLS have none. They write down a lease: to
 * ask each other, over a channel, would wake those in the back/forward cache, which costs them their place. Where neither
 * is allowed only the sockets of this page share.
 */
async function take(
  name: string,
  remember: boolean,
  giveBack: () => void,
): Promise<(() => void) | undefined> {
  try {
    return await lock(name)
  } catch {
    // There are none, or none for this page.
  }
  try {
    if (remember) return await lease(name, giveBack)
  } catch {
    // Nothing may be kept.
  }
  return () => {}
}

function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (granted) =>
        granted ? new Promise<void>((release) => resolve(release)) : resolve(undefined),
      )
      .catch(reject)
  })
}

async function lease(name: string, giveBack: () => void): Promise<(() => void) | undefined> {
  const { localStorage } = globalThis
  const owner = ` ${Math.random()}`
  const mine = () => localStorage.getItem(name)?.endsWith(owner)
  const write = () => localStorage.setItem(name, Date.now() + leaseLife + owner)
  const rest = Number.parseFloat(localStorage.getItem(name) ?? '') - Date.now()
  // One that lasts too long was written before the clock was changed.
  if (rest > 0 && rest <= leaseLife) return undefined
  write()
  await new Promise((resolve) => setTimeout(resolve, settling))
  if (!mine()) return undefined
  const timer = setInterval(() => {
    if (mine()) write()
    else giveBack()
  }, renewal)
  return () => {
    clearInterval(timer)
    if (mine()) localStorage.removeItem(name)
  }
}
