/**
 * Events with acknowledgements on top of any WebSocket: the entry `everwire/events`, the same for both ends. docs/EVENTS.md.
 *
 * A message is JSON: `[name, id, data]`, where id is 0 if no answer is wanted. An answer is `[null, id, data]`, a refusal
 * `[null, id, null, message, code]`. Nothing that a peer sends throws here.
 */

/** What one end sends: for each event a function from its data to its answer. */
export type EventMap<Map> = { readonly [Name in keyof Map]: (data: never) => unknown }

/** Of events that are not typed. */
interface AnyEvents {
  [name: string]: (data?: unknown) => unknown
}

/** Name and data of an event. */
export type EventArguments<Map extends EventMap<Map>> = {
  [Name in keyof Map]: [name: Name, ...data: Parameters<Map[Name]>]
}[keyof Map]

/** What events need of a socket. The standard's WebSocket has it, and so have those of everwire and `ws`. */
export interface EventSocket {
  /** As in the standard. */
  readonly readyState: number
  /** Sends a text. */
  send(data: string): void
  /** Calls the listener for each message, or when the socket closes. */
  addEventListener(type: 'message', listener: (event: { readonly data?: unknown }) => void): void
  /** Calls the listener when the socket closes. */
  addEventListener(type: 'close', listener: () => void): void
}

/** Why an event did not come to a handler, or what went wrong in the handler. */
export type EventFault =
  /** There is no handler for the event. */
  | { readonly type: 'unknown'; readonly name: string }
  /** A text is not in the form of an event. */
  | { readonly type: 'malformed'; readonly data: string }
  /** A handler has thrown something else than an EventError, or its answer cannot be made JSON. */
  | { readonly type: 'thrown'; readonly name: string; readonly error: unknown }

/** Options of `events`. */
export interface EventsOptions {
  /** How long `ask` waits for an answer, in ms. `Infinity`: until the socket closes. Default: 30 000. */
  readonly timeout?: number | undefined
  /** Called for each fault at this end. Default: `console.warn`. */
  readonly onfault?: ((fault: EventFault) => void) | undefined
}

/** Options of one `ask`. */
export interface AskOptions {
  /** How long to wait for the answer, in ms. Default: the option of `events`. */
  readonly timeout?: number | undefined
}

type AskArguments<Data extends readonly unknown[]> = Data extends readonly []
  ? [data?: undefined, options?: AskOptions]
  : undefined extends Data[0]
    ? [data?: Data[0], options?: AskOptions]
    : [data: Data[0], options?: AskOptions]

/** What a handler may return: of an event that has no answer, anything. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is a return type
type Answer<Result> = [Result] extends [void] ? unknown : Result | Promise<Result>

/** The events of a socket. */
export interface Events<Sent extends EventMap<Sent> = AnyEvents, Heard extends EventMap<Heard> = AnyEvents> {
  /** Sends an event. Throws where the socket's `send` throws, and a TypeError for binary data. */
  emit(...event: EventArguments<Sent>): void
  /**
   * Sends an event and resolves with the answer: what the other end's first handler for it returns. Rejects with an EventError
   * if that handler throws, if there is none, if the time is up, or if the socket closes.
   */
  ask<Name extends keyof Sent>(
    name: Name,
    ...rest: AskArguments<Parameters<Sent[Name]>>
  ): Promise<Awaited<ReturnType<Sent[Name]>>>
  /** Calls the handler for each event of that name. Returns a function that ends this. */
  on<Name extends keyof Heard>(
    name: Name,
    handler: (...data: Parameters<Heard[Name]>) => Answer<Awaited<ReturnType<Heard[Name]>>>,
  ): () => void
}

/** An answer that says no. Throw one in a handler: message and code go to the asker, of other errors nothing does. */
export class EventError extends Error {
  /** `'EventError'`. */
  override readonly name = 'EventError'
  /** Yours, or `'unknown'`, `'failed'`, `'timeout'` or `'closed'`. */
  readonly code: string

  /** `code`: a word of yours that the asker reads. */
  constructor(message: string, code = 'refused') {
    super(message)
    this.code = code
  }
}

/** The text of an event, for `publish` and `broadcast`. */
export function encode(name: string, data?: unknown): string
export function encode<Sent extends EventMap<Sent>>(...event: EventArguments<Sent>): string
export function encode(name: string, data?: unknown): string {
  return textOf([name, 0, data])
}

/** A timer waits for no longer than this. */
const longestTimer = 2 ** 31 - 1
const known = new WeakMap<EventSocket, Events>()

/** The events of a socket, always the same object. `Sent` is what this end sends, `Heard` what the other end sends. */
export function events<Sent extends EventMap<Sent> = AnyEvents, Heard extends EventMap<Heard> = AnyEvents>(
  socket: EventSocket,
  options: EventsOptions = {},
): Events<Sent, Heard> {
  const its = known.get(socket) ?? eventsOf(socket, options)
  known.set(socket, its)
  return its as unknown as Events<Sent, Heard>
}

type Handler = (data: unknown) => unknown

function eventsOf(socket: EventSocket, options: EventsOptions): Events {
  // biome-ignore lint/suspicious/noConsole: whoever does not ask for faults should still see them.
  const { timeout: patience = 30_000, onfault = (fault) => console.warn('everwire', fault) } = options
  const handlers = new Map<string, Set<Handler>>()
  /** What ends each `ask`, with an error or an answer. Another map for each session of a socket of everwire/reopen. */
  let waiting = new Map<unknown, (error?: EventError, answer?: unknown) => void>()
  let lastId = 0

  function settle(id: unknown, error?: EventError, answer?: unknown): void {
    const end = waiting.get(id)
    waiting.delete(id)
    end?.(error, answer)
  }

  async function run(handler: Handler, name: string, id: number, data: unknown): Promise<void> {
    const session = waiting
    const answer = (...rest: unknown[]): void => {
      // The other end of a later session would take it for an answer to a question of its own.
      if (id && session === waiting) socket.send(textOf([null, id, ...rest]))
    }
    try {
      answer(await handler(data))
    } catch (error) {
      if (error instanceof EventError) return answer(null, error.message, error.code)
      answer(null, 'Handler failed', 'failed')
      onfault({ type: 'thrown', name, error })
    }
  }

  function receive(name: string, id: number, data: unknown): Promise<unknown> {
    const all = [...(handlers.get(name) ?? [])]
    if (!all[0]) {
      onfault({ type: 'unknown', name })
      all[0] = noHandler
    }
    // The first handler answers.
    return Promise.all(all.map((handler, at) => run(handler, name, at ? 0 : id, data)))
  }

  // A server in durable mode waits for the promise: the message is not told before its handlers are done.
  socket.addEventListener('message', ({ data: text }) => {
    // Binary messages are the application's own.
    if (typeof text !== 'string') return undefined
    const [name, id, data, message, code] = parse(text)
    if (typeof name === 'string' && typeof id === 'number') return receive(name, id, data)
    if (name !== null) return onfault({ type: 'malformed', data: text })
    return typeof message === 'string' && typeof code === 'string'
      ? settle(id, new EventError(message, code))
      : settle(id, undefined, data)
  })
  socket.addEventListener('close', () => {
    const ended = waiting
    waiting = new Map()
    for (const end of ended.values()) end(closedError())
  })

  return {
    emit: (name: string, data: unknown) => socket.send(textOf([name, 0, data])),
    ask: (name: string, data: unknown, { timeout = patience }: AskOptions = {}) =>
      new Promise<unknown>((resolve, reject) => {
        if (socket.readyState > 1) throw closedError()
        const id = ++lastId
        socket.send(textOf([name, id, data]))
        const late = (): void => settle(id, new EventError(`No answer in ${timeout} ms`, 'timeout'))
        const timer = setTimeout(late, Math.min(timeout, longestTimer))
        waiting.set(id, (error, answer) => {
          clearTimeout(timer)
          if (error) reject(error)
          else resolve(answer)
        })
      }),
    on(name: string, given: Handler) {
      const handler: Handler = (data) => given(data)
      const all = handlers.get(name) ?? new Set()
      handlers.set(name, all.add(handler))
      return () => void all.delete(handler)
    },
  } as unknown as Events
}

const closedError = (): EventError => new EventError('The socket is closed', 'closed')

function noHandler(): never {
  throw new EventError('No such event', 'unknown')
}

/** What stands in the text, or nothing of use if it is no list. */
function parse(text: string): readonly unknown[] {
  try {
    // A text, which is no list, has this method too; to spread it would make a list of all its letters.
    return JSON.parse(text).slice()
  } catch {
    return []
  }
}

function textOf(list: unknown[]): string {
  // Without data the list is shorter, because JSON has no undefined.
  if (list.at(-1) === undefined) list.pop()
  return JSON.stringify(list, refuseBinary)
}

/** JSON would make an object of numbers, or `{}`, out of binary data. */
function refuseBinary(this: unknown, key: string, value: unknown): unknown {
  const given = (this as Record<string, unknown>)[key]
  if (ArrayBuffer.isView(given) || given instanceof ArrayBuffer || given instanceof Blob)
    throw new TypeError('Binary data: use socket.send()')
  return value
}
