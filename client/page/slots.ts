/**
 * Slots: the permission to keep a connection busy. Over HTTP/1.1 a browser has six connections to a host, for all its pages
 * together; over HTTP/2 it has as many streams as the server lets it have, which no page is told. If all were busy, no page
 * could load and no client could send, so all pages and sockets share a few slots.
 */

/** Slots over HTTP/1.1. The last one is for visible pages, so that they do not wait behind hidden pages. */
const few = 4
/** Slots over HTTP/2, HTTP/3 and an unknown version, until it shows that the server allows fewer streams. */
const many = 32
/** For each such time in ms since the budget was learnt, one slot more is tried. */
const rest = 120_000
/** A lease ends after this time even if its page has crashed and cannot end it. */
const leaseLife = 90_000
/** After this time, a lease is to be given back. */
const leaseTerm = 60_000
/** If two pages write the same lease at once, the later one has it. Both know that after this time. */
const settling = 100
/** A request that waited in the browser for this long, in ms, waited for another one to end. */
const long = 250

interface Slot {
  readonly name: string
  readonly onlySeen: boolean
  readonly giveBack: (atOnce?: boolean) => void
  readonly release: Release
}

/** Gives a slot back. `inTheWay`: a short exchange waited for long beside the one that was held. */
type Release = (inTheWay?: boolean) => void

/** What is known of the way to an origin. */
interface Way {
  /** The version of HTTP of the last answer, unless the page may not know it. */
  protocol?: string
  /** When an exchange was given up that may have been in the way, and how many slots all pages had at that time. */
  gaveWayAt?: number
  taken?: Promise<number>
  /** How many slots may be taken, and the time when that was learnt. */
  budget?: string
}

const nothing = () => {}
const ways = new Map<string, Way>()
/** The slots that this page has, or is trying to take. */
const slots = new Set<Slot>()

export function isSeen(): boolean {
  return globalThis.document?.visibilityState === 'visible'
}

/** Gives back the slot for visible pages, because this page is hidden now. */
export function unseen(): void {
  for (const { onlySeen, giveBack } of slots) if (onlySeen) giveBack()
}

/** Releases all slots, because a frozen page could not do it later, and ends the exchanges that use them. */
export function frozen(): void {
  for (const { giveBack, release } of slots) {
    giveBack(true)
    release()
  }
}

/**
 * How to take a slot for an exchange with `url`. Resolves with a function that gives it back, or with undefined if no slot is free.
 * Calls `giveBack` when the slot is to be given back: soon, or `atOnce`. `remember`: whether storage that other pages see may be used.
 */
export const slotTo: (
  url: string,
  remember: boolean,
) => (giveBack: (atOnce?: boolean) => void) => Promise<Release | undefined> =
  (url, remember) => async (giveBack) => {
    const { origin } = new URL(url)
    const prefix = `everwire ${origin} `
    const way = ways.get(origin) ?? watch(origin, url, prefix, remember)
    const { protocol } = way
    const mayBeMany = protocol ? /^h[23]/.test(protocol) : url[4] === 's' && !!globalThis.navigator?.locks
    const budget = mayBeMany ? budgetOf(way, prefix, remember) : few
    for (let i = 0; i < budget; i++) {
      const onlySeen = i === budget - 1
      const name = prefix + i
      if ((onlySeen && !isSeen()) || [...slots].some((other) => other.name === name)) continue
      let end: (() => void) | undefined
      const release: Release = (inTheWay) => {
        slots.delete(slot)
        if (inTheWay && mayBeMany) {
          way.gaveWayAt = performance.now()
          way.taken = countTaken(prefix)
          way.taken.then(end, end)
        } else end?.()
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

/** Begins to watch the timings of requests to `url`. */
function watch(origin: string, url: string, prefix: string, remember: boolean): Way {
  const way: Way = {}
  ways.set(origin, way)
  const look = (entries: PerformanceEntryList, observer?: PerformanceObserver) => {
    for (const entry of entries as PerformanceResourceTiming[])
      if (entry.name.startsWith(`${origin}/`) && entry.name.includes('everwire=')) {
        way.protocol = entry.nextHopProtocol || (way.protocol as string)
        if (waited(entry, way.gaveWayAt as number))
          way.taken?.then((taken) => learn(way, prefix, remember, taken), nothing)
      }
    // Over HTTP/1.1 there is nothing more to learn, and an idle page must not wake up for it.
    if (way.protocol?.startsWith('http')) observer?.disconnect()
  }
  look(performance.getEntriesByName?.(url) ?? [])
  // A page keeps few entries. An observer gets those that come later.
  if (globalThis.PerformanceObserver)
    new PerformanceObserver((list, observer) => look(list.getEntries(), observer)).observe({
      type: 'resource',
    })
  return way
}

/** Whether a request left only after another exchange was given up; if that is not known, whether it was answered soon after. */
function waited({ startTime, requestStart, responseEnd }: PerformanceResourceTiming, at: number): boolean {
  return (
    at - startTime > long && (requestStart ? requestStart > at : responseEnd > at && responseEnd < at + long)
  )
}

/** How many slots to this origin all pages have now. */
async function countTaken(prefix: string): Promise<number> {
  const locks = (await navigator.locks.query()) as unknown as {
    readonly [of: string]: readonly { name: string }[]
  }
  // biome-ignore lint/complexity/useLiteralKeys: the build makes everwire's own `held` short, but not that of the platform.
  return locks['held']?.filter(({ name }) => name.startsWith(prefix)).length ?? 0
}

/** A short exchange had to wait while `taken` slots were taken. Leaves two connections free, as over HTTP/1.1. */
function learn(way: Way, prefix: string, remember: boolean, taken: number): void {
  way.budget = `${taken - (taken > few ? 2 : 1)} ${Date.now()}`
  try {
    if (remember) localStorage.setItem(`${prefix}budget`, way.budget)
  } catch {
    // The storage is full, or not allowed.
  }
}

function budgetOf(way: Way, prefix: string, remember: boolean): number {
  try {
    if (remember) way.budget = localStorage.getItem(`${prefix}budget`) ?? (way.budget as string)
  } catch {
    // Storage is not allowed.
  }
  const [taken, at] = (way.budget ?? '').split(' ').map(Number) as [number, number]
  const budget = taken + Math.floor(Math.abs(Date.now() - at) / rest)
  return budget < many ? budget : many
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
  // A lease that ends later than any can was written before the clock was changed.
  if (rest > 0 && rest <= leaseLife) return undefined
  const mine = `${Date.now() + leaseLife} ${Math.random()}`
  localStorage.setItem(name, mine)
  await new Promise((resolve) => setTimeout(resolve, settling))
  if (read() !== mine) return undefined
  const timer = setTimeout(giveBack, leaseTerm)
  return () => {
    clearTimeout(timer)
    try {
      if (read() === mine) localStorage.removeItem(name)
    } catch {
      // Storage is not allowed any more: the lease runs out.
    }
  }
}
