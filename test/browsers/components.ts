// What a page of components shows to its test, whichever library renders them.

/** What a component has seen, over all its mounts. */
export interface Seen {
  mounts: number
  isMounted: boolean
  readonly messages: string[]
  opens: number
  readonly closes: number[]
  /** What it has shown, one after the other. */
  readonly statuses: string[]
}

export interface Components {
  /** Renders a component for each name, with a socket to this URL, and unmounts all others. */
  show(names: readonly string[], url?: string): void
  /** The component of that name, also after it was unmounted. */
  seen(name: string): Seen
  /** What the components on the page show as their status. */
  statuses(): string[]
}

const all = new Map<string, Seen>()

export function seen(name: string): Seen {
  const known = all.get(name) ?? {
    mounts: 0,
    isMounted: false,
    messages: [],
    opens: 0,
    closes: [],
    statuses: [],
  }
  all.set(name, known)
  return known
}

/** What each component gives to the hook. */
export function handlersOf(name: string): {
  open(): void
  message(event: MessageEvent): void
  close(event: { readonly code: number }): void
} {
  const my = seen(name)
  return {
    open: () => void my.opens++,
    message: ({ data }) => void my.messages.push(data),
    close: ({ code }) => void my.closes.push(code),
  }
}

export function mounted(name: string): void {
  Object.assign(seen(name), { mounts: seen(name).mounts + 1, isMounted: true })
}

export function unmounted(name: string): void {
  seen(name).isMounted = false
}

export function shows(name: string, status: string): void {
  const my = seen(name).statuses
  if (my.at(-1) !== status) my.push(status)
}

export function statuses(): string[] {
  return [...document.querySelectorAll('p')].map(({ textContent }) => textContent ?? '')
}

export function place(): Element {
  return document.querySelector('#app') as Element
}
