/** Event handler attributes: https://html.spec.whatwg.org/multipage/webappapis.html#event-handler-idl-attributes */

interface Registered {
  handler: unknown
  handleEvent(event: Event): void
}

/** Those that are or were set, by the type of their event. */
export type Handlers = Record<string, Registered>

/** Gives objects of this prototype an `on…` for each type. `of`: where an object keeps them; throws if it is none. */
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
            // An object that cannot be called is kept, and not called.
            if (typeof handler === 'function' && handler.call(target, event) === false) event.preventDefault()
          },
        }
        const own = handlers[type]
        const handler = Object(given) === given ? given : null
        // One that replaces another keeps the place among the listeners that the first one got.
        if (!handler) target.removeEventListener(type, own)
        else if (!own.handler) target.addEventListener(type, own)
        own.handler = handler
      },
    }
    Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(accessors))
  }
}
