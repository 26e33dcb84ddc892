/** The classes of events in Node, named as in the standard and in `ws`. */
import type { CloseEventInit } from '../base/types.ts'
import { asWanted } from './node-data.ts'
import { rethrow, wasClosed } from './node-errors.ts'
import type { Side } from './node-side.ts'

export class NodeCloseEvent extends Event implements CloseEventInit {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor({ code, reason, wasClean }: CloseEventInit) {
    super('close')
    this.code = code
    this.reason = reason
    this.wasClean = wasClean
  }
}

/** For the compiler, without `data` as a property: here it is an accessor. */
const Message: new (type: string, init: { origin: string }) => Event = MessageEvent

/**
 * A message event whose data is converted when it is read. If a socket has just one listener, the event calls the listener itself:
 * Node's EventTarget would take longer than everything else that a message costs.
 */
export class NodeMessageEvent extends Message {
  readonly #received: string | Uint8Array
  readonly #binaryType: string
  #data: unknown
  /** The socket whose listener this event has called, and whether it is calling the listener now. */
  #told: EventTarget | null = null
  #telling = false

  constructor(received: string | Uint8Array, binaryType: string, origin: string) {
    super('message', { origin })
    this.#received = received
    this.#binaryType = binaryType
  }

  /** Calls this listener as the socket's EventTarget would. Returns false if the event is dispatched again: the EventTarget must do that. */
  tell(
    socket: EventTarget,
    listener: Exclude<Parameters<EventTarget['addEventListener']>[1], null>,
  ): boolean {
    if (this.#told) return false
    this.#told = socket
    this.#telling = true
    try {
      const returned: unknown =
        typeof listener === 'function' ? listener.call(socket, this) : listener.handleEvent(this)
      // As in an EventTarget of Node, a promise may be of another realm.
      if (typeof (returned as PromiseLike<unknown> | null | undefined)?.then === 'function')
        Promise.resolve(returned).catch(rethrow)
    } catch (error) {
      rethrow(error)
    }
    this.#telling = false
    return true
  }

  override get target(): EventTarget | null {
    return super.target ?? this.#told
  }

  override get srcElement(): EventTarget | null {
    return super.srcElement ?? this.#told
  }

  override get currentTarget(): EventTarget | null {
    return this.#telling ? this.#told : super.currentTarget
  }

  override get eventPhase(): number {
    return this.#telling ? Event.AT_TARGET : super.eventPhase
  }

  override composedPath(): EventTarget[] {
    return this.#telling && this.#told ? [this.#told] : super.composedPath()
  }

  get data(): unknown {
    const received = this.#received
    this.#data ??= typeof received === 'string' ? received : asWanted(received, this.#binaryType)
    return this.#data
  }

  /** Some runtimes assign `data` in the constructor of MessageEvent. */
  set data(_none: unknown) {}
}

export class NodeErrorEvent extends Event {
  readonly error: Error
  readonly message: string

  constructor(reason: string, side: Side | undefined) {
    super('error')
    const { failure, badProtocol } = side ?? {}
    if (reason === 'closed') this.error = new Error(wasClosed)
    else if (reason === 'no subprotocol chosen') this.error = new Error(badProtocol)
    else if (failure) this.error = failure
    else if (side?.direct) this.error = new DOMException('The blob could not be read', 'NotReadableError')
    else this.error = new Error(reason.includes('timeout') ? 'Opening handshake has timed out' : reason)
    this.message = this.error.message
  }
}

const names = { CloseEvent: NodeCloseEvent, MessageEvent: NodeMessageEvent, ErrorEvent: NodeErrorEvent }
for (const [name, made] of Object.entries(names))
  Object.defineProperty(made, 'name', { value: name, configurable: true })
// As in the standard: an accessor of a class is not enumerable by itself.
for (const name of ['data', 'target', 'srcElement', 'currentTarget', 'eventPhase', 'composedPath'])
  Object.defineProperty(NodeMessageEvent.prototype, name, { enumerable: true })
