/** Event handler attributes: https://html.spec.whatwg.org/multipage/webappapis.html#event-handler-idl-attributes */

type Handler = (event: Event) => unknown

interface Registered {
  handler: Handler
  readonly listener: (event: Event) => void
}

/** Gives objects of this prototype an `on…` for each type. */
export function defineHandlers(prototype: EventTarget, types: readonly string[]): void {
  for (const type of types) {
    const registered = new WeakMap<EventTarget, Registered>()
    Object.defineProperty(prototype, `on${type}`, {
      enumerable: true,
      configurable: true,
      get(this: EventTarget): Handler | null {
        return registered.get(this)?.handler ?? null
      },
      set(this: EventTarget, handler: unknown) {
        const own = registered.get(this)
        if (typeof handler !== 'function') {
          if (own) this.removeEventListener(type, own.listener)
          registered.delete(this)
        } else if (own) {
          // It keeps the place among the listeners that the first one got.
          own.handler = handler as Handler
        } else {
          const entry: Registered = {
            handler: handler as Handler,
            listener: (event) => entry.handler.call(this, event),
          }
          registered.set(this, entry)
          this.addEventListener(type, entry.listener)
        }
      },
    })
  }
}
