/**
 * Slots: the permission to keep a connection busy. Over HTTP/1.1 a browser has six connections to a host, for all its pages
 * together. If all were busy, no page could load and no client could send, so all pages and sockets share a few slots.
 */

/** Slots for any page. Visible pages have one more, so that they do not wait behind hidden pages. */
const common = 3
/** A lease ends after this time even if its page has crashed and cannot end it. */
const leaseLife = 90_000
/** After this time, a lease is to be given back. */
const leaseTerm = 60_000
/** If two pages write the same lease at once, the later one has it. Both know that after this time. */
const settling = 100

interface Slot {
  readonly name: string
  readonly onlySeen: boolean
  readonly giveBack: () => void
  readonly release: () => void
}

const nothing = () => {}
/** The slots that this page has, or is trying to take. */
const slots = new Set<Slot>()

export function isSeen(): boolean {
  return globalThis.document?.visibilityState === 'visible'
}

/** Gives back the slot for visible pages, because this page is hidden now. */
export function unseen(): void {
  for (const { onlySeen, giveBack } of slots) if (onlySeen) giveBack()
}

/** Releases all slots, because a frozen page could not do it later, and ends what uses them. */
export function frozen(): void {
  for (const { giveBack, release } of slots) {
    giveBack()
    release()
  }
}

/**
 * Takes a slot for an exchange with `url`. Returns a function that gives it back, or undefined if no slot is free. Calls
 * `giveBack` when the slot is to be given back soon. `remember`: whether storage that other pages see may be used.
 */
export async function slotTo(
  url: string,
  remember: boolean,
  giveBack: () => void,
): Promise<(() => void) | undefined> {
  // From HTTP/2 on, one connection is enough. An earlier short exchange has shown the protocol.
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
    // Taking the slot took a while, so the page may be hidden by now.
    if (end && (isSeen() || !onlySeen)) return release
    release()
  }
  return undefined
}

/**
 * Takes a lock, which ends with its page. Pages without TLS have no locks and write a lease instead: a channel between the
 * pages would wake pages in the back/forward cache, which would lose their place there. If neither is allowed, only the
 * sockets of this page share the slot.
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
  // A lease with more time than any was written before the clock was changed.
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
