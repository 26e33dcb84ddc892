// What tests know of a browser's engine.

export type EngineName = 'Chromium' | 'Firefox' | 'WebKitGTK'

export interface Engine {
  /** A page of its own that is seen, whatever others there are. */
  open(): Promise<Page>
  close(): Promise<unknown>
}

export interface Page {
  /** Until it is loaded, whatever its status. */
  goto(url: string): Promise<unknown>
  /** Runs a function in the page. It sees nothing but the page and what it is given, and that only as far as JSON knows it. */
  evaluate<Args extends readonly unknown[], T>(what: (...args: Args) => T, ...args: Args): Promise<Awaited<T>>
  close(): Promise<unknown>
}

/** `run` is given an expression, and waits if that is a promise. */
export function evaluateBy(run: (expression: string) => Promise<unknown>): Page['evaluate'] {
  return async (what, ...args) => (await run(`(${what})(...${JSON.stringify(args)})`)) as never
}
