/** `addEventListener` and `on…` for an EventEmitter, with the events of the browser's WebSocket, as in `ws`. */
import type { EventEmitter } from 'node:events'

/** The event that `addEventListener` and `on…` of a Socket hand to a listener, as in `ws`. */
export interface SocketListenerEvent {
  /** The name of the event. */
  readonly type: string
  /** The socket. */
  readonly target: unknown
  /** In `message`: a string, or binary data in the form of `binaryType`. */
  readonly data?: unknown
  /** In `close`: the close code. */
  readonly code?: number
  /** In `close`: the reason; empty for none. */
  readonly reason?: string
  /** In `close`: whether both ends agreed to the end. */
  readonly wasClean?: boolean
  /** In `error`: the error. */
  readonly error?: Error
  /** In `error`: the message of the error. */
  readonly message?: string
}

export type EventListener = (event: SocketListenerEvent) => void
/** What `addEventListener` of a Socket takes. */
export type SocketListener = EventListener | { handleEvent(event: SocketListenerEvent): void }

const original = Symbol('handler')
const isAttribute = Symbol('on…')

interface Wrapped {
  (...args: unknown[]): unknown
  [original]?: SocketListener
  [isAttribute]?: boolean
}

type Emitter = Pick<EventEmitter, 'on' | 'once' | 'off' | 'listeners'>

export function addListener(
  target: object,
  type: string,
  handler: SocketListener,
  once: boolean,
  attribute = false,
): void {
  const emitter = target as Emitter
  if (!attribute && find(emitter, type, (wrapped) => wrapped[original] === handler && !wrapped[isAttribute]))
    return
  const wrapped: Wrapped = (...args) => {
    const event = makeEvent(type, target, args)
    return typeof handler === 'function' ? handler.call(target, event) : handler.handleEvent(event)
  }
  wrapped[original] = handler
  wrapped[isAttribute] = attribute
  if (once) emitter.once(type, wrapped)
  else emitter.on(type, wrapped)
}

export function removeListener(target: object, type: string, handler: SocketListener): void {
  const emitter = target as Emitter
  const wrapped = find(emitter, type, (one) => one[original] === handler && !one[isAttribute])
  if (wrapped) emitter.off(type, wrapped)
}

export function getHandler(target: object, type: string): EventListener | null {
  const handler = find(target as Emitter, type, (wrapped) => wrapped[isAttribute] === true)?.[original]
  return (handler as EventListener | undefined) ?? null
}

export function setHandler(target: object, type: string, handler: SocketListener | null): void {
  const emitter = target as Emitter
  const old = find(emitter, type, (wrapped) => wrapped[isAttribute] === true)
  if (old) emitter.off(type, old)
  if (typeof handler === 'function') addListener(target, type, handler, false, true)
}

function find(emitter: Emitter, type: string, test: (wrapped: Wrapped) => boolean): Wrapped | undefined {
  return (emitter.listeners(type) as Wrapped[]).find(test)
}

function makeEvent(type: string, target: unknown, args: unknown[]): SocketListenerEvent {
  switch (type) {
    case 'message':
      return new MessageToldEvent(type, target, args[1] ? args[0] : String(args[0]))
    case 'close':
      return new CloseToldEvent(type, target, args[0] as number, String(args[1]))
    case 'error':
      return new ErrorToldEvent(type, target, args[0] as Error)
    default:
      return new ToldEvent(type, target)
  }
}

class ToldEvent implements SocketListenerEvent {
  readonly type: string
  readonly target: unknown

  constructor(type: string, target: unknown) {
    this.type = type
    this.target = target
  }
}

class MessageToldEvent extends ToldEvent {
  readonly data: unknown

  constructor(type: string, target: unknown, data: unknown) {
    super(type, target)
    this.data = data
  }
}

class CloseToldEvent extends ToldEvent {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor(type: string, target: unknown, code: number, reason: string) {
    super(type, target)
    this.code = code
    this.reason = reason
    this.wasClean = code !== 1006
  }
}

class ErrorToldEvent extends ToldEvent {
  readonly error: Error
  readonly message: string

  constructor(type: string, target: unknown, error: Error) {
    super(type, target)
    this.error = error
    this.message = error.message
  }
}

// As in `ws`. Inside this module the names stand for the classes of the runtime.
const names = {
  Event: ToldEvent,
  MessageEvent: MessageToldEvent,
  CloseEvent: CloseToldEvent,
  ErrorEvent: ErrorToldEvent,
}
for (const [name, made] of Object.entries(names))
  Object.defineProperty(made, 'name', { value: name, configurable: true })
