/**
 * Leave to keep a connection busy. Over HTTP/1.1 a browser has six to a host, for all its pages together: if all were held,
 * no page would load any more, and none could say anything. So all pages, and all sockets of a page, share a few slots.
 */

/** So many are for anybody. One more is for pages that are seen: they do not wait behind those that are not. */
const common = 3
/** A lease counts for so long, if its page does not end it: that it has crashed, nobody would say … */
const leaseLife = 90_000
/** … and is to be given back in time. */
const leaseTerm = 60_000
/** Of two pages that write down the same lease at once the later has it: both know after so long. */
const settling = 100

interface Slot {
  readonly name: string
  readonly onlySeen: boolean
  readonly giveBack: () => void
  readonly release: () => void
}

const nothing = () => {}
/** What this page has, or has asked for. */
const slots = new Set<Slot>()

export function isSeen(): boolean {
  return globalThis.document?.visibilityState === 'visible'
}

/** The page is no longer seen: a visible one may need it. */
export function unseen(): void {
  for (const { onlySeen, giveBack } of slots) if (onlySeen) giveBack()
}

/** A frozen page could not give back what it has: it has nothing more, and what it still holds is to end. */
export function frozen(): void {
  for (const { giveBack, release } of slots) {
    giveBack()
    release()
  }
}

/**
 * For an exchange with `url`. Returns how to give it back, or undefined: none is free now. `giveBack` is called when it
 * should be given back soon. `remember`: something may be written where other pages see it.
 */
export async function slotTo(
  url: string,
  remember: boolean,
  giveBack: () => void,
): Promise<(() => void) | undefined> {
  // From HTTP/2 on, one connection is enough for all. A short exchange comes before a held one, so this is known by now.
  const entry = performance.getEntriesByName?.(url).at(-1) as PerformanceResourceTiming | undefined
  if (/^h[23]/.test(entry?.nextHopProtocol as string)) return nothing
  for (let i = 0; i <= common; i++) {
    const onlySeen = i === common
    const name = `everwire ${new URL(url).origin} ${i}`
    if ((onlySeen && !isSeen()) || [...slots].some((other) => other.name === name)) continue
    let end: (() => void) | undefined
    const release = () => {
      slots.delete(slot)
      end?.()
    }
    const slot: Slot = { name, onlySeen, giveBack, release }
    slots.add(slot)
    end = await take(name, remember, giveBack)
    // It took a while: perhaps the page is no longer seen.
    if (end && (isSeen() || !onlySeen)) return release
    release()
  }
  return undefined
}

/**
 * A lock ends with its page, however that ends, but pages that did not come over TLS have none. They write down a lease: to
 * ask each other, over a channel, would wake those in the back/forward cache, which costs them their place. Where neither
 * is allowed only the sockets of this page share.
 */
function take(name: string, remember: boolean, giveBack: () => void): Promise<(() => void) | undefined> {
  return lock(name)
    .catch(() => (remember ? lease(name, giveBack) : nothing))
    .catch(() => nothing)
}

function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = (granted: unknown) => new Promise<void>((release) => resolve(granted ? release : undefined))
    navigator.locks.request(name, { ifAvailable: true }, held).catch(reject)
  })
}

async function lease(name: string, giveBack: () => void): Promise<(() => void) | undefined> {
  const { localStorage } = globalThis
  const read = () => localStorage.getItem(name) as string
  const rest = Number.parseFloat(read()) - Date.now()
  // One that lasts too long was written before the clock was changed.
  if (rest > 0 && rest <= leaseLife) return undefined
  const mine = `${Date.now() + leaseLife} ${Math.random()}`
  localStorage.setItem(name, mine)
  await new Promise((resolve) => setTimeout(resolve, settling))
  if (read() !== mine) return undefined
  const timer = setTimeout(giveBack, leaseTerm)
  return () => {
    clearTimeout(timer)
    if (read() === mine) localStorage.removeItem(name)
  }
}
