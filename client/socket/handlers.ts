/** Event handler attributes: https://html.spec.whatwg.org/multipage/webappapis.html#event-handler-idl-attributes */

interface Registered {
  handler: unknown
  handleEvent(event: Event): void
}

/** The handlers that are or were set, by event type. */
export type Handlers = Record<string, Registered>

/** Defines an `on…` attribute for each type. `of` returns the handlers of an object, and throws for a foreign one. */
export function defineHandlers<T extends EventTarget>(
  prototype: T,
  types: readonly string[],
  of: (target: T) => Handlers,
): void {
  for (const type of types) {
    const attribute = `on${type}`
    const accessors = {
      get [attribute](): unknown {
        return of(this as unknown as T)[type]?.handler ?? null
      },
      set [attribute](given: unknown) {
        const target = this as unknown as T
        const handlers = of(target)
        handlers[type] ??= {
          handler: null,
          handleEvent(event) {
            const { handler } = this
            // An object that is no function is kept, but not called.
            if (typeof handler === 'function' && handler.call(target, event) === false) event.preventDefault()
          },
        }
        const own = handlers[type]
        own.handler = Object(given) === given ? given : null
        // A handler that replaces another keeps its place: a listener that is added again stays where it is.
        if (own.handler) target.addEventListener(type, own)
        else target.removeEventListener(type, own)
      },
    }
    Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(accessors))
  }
}
