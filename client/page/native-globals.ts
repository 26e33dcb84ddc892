/** Defines the globals that the client needs and that React Native lacks in some or all versions. Existing ones stay. */

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown }

/** An event without bubbling and without a default action. */
class PlainEvent {
  readonly type: string

  constructor(type: string) {
    this.type = type
  }

  preventDefault(): void {}
  stopPropagation(): void {}
}

class PlainMessageEvent extends PlainEvent {
  readonly data: unknown
  readonly origin: string

  constructor(type: string, { data, origin = '' }: { data: unknown; origin?: string }) {
    super(type)
    this.data = data
    this.origin = origin
  }
}

class PlainEventTarget {
  readonly #listeners = new Map<string, Map<Listener, boolean>>()

  addEventListener(type: string, listener: Listener | null, options?: { once?: boolean } | boolean): void {
    let all = this.#listeners.get(type)
    if (!all) {
      all = new Map()
      this.#listeners.set(type, all)
    }
    if (listener && !all.has(listener)) all.set(listener, typeof options === 'object' && !!options.once)
  }

  removeEventListener(type: string, listener: Listener | null): void {
    if (listener) this.#listeners.get(type)?.delete(listener)
  }

  dispatchEvent(event: Event): boolean {
    for (const name of ['target', 'currentTarget'])
      Object.defineProperty(event, name, { value: this, configurable: true })
    const all = this.#listeners.get(event.type)
    for (const [listener, once] of [...(all ?? [])]) {
      if (!all?.has(listener)) continue
      if (once) all.delete(listener)
      try {
        if (typeof listener === 'function') listener.call(this, event)
        else listener.handleEvent(event)
      } catch (error) {
        // An exception of one listener must not stop the others or the client.
        setTimeout(() => {
          throw error
        })
      }
    }
    return true
  }
}

class PlainDOMException extends Error {
  constructor(message: string, name = 'Error') {
    super(message)
    this.name = name
  }
}

class PlainTextEncoder {
  encode(text: string): Uint8Array {
    const bytes = new Uint8Array(text.length * 3)
    let size = 0
    for (let at = 0; at < text.length; at++) {
      let code = text.codePointAt(at) as number
      if (code > 0xffff) at++
      // A lone surrogate becomes U+FFFD.
      else if (code >= 0xd800 && code < 0xe000) code = 0xfffd
      if (code < 0x80) bytes[size++] = code
      else {
        const more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3
        bytes[size++] = ((0xff00 >> (more + 1)) & 0xff) | (code >> (6 * more))
        for (let rest = more - 1; rest >= 0; rest--) bytes[size++] = 0x80 | ((code >> (6 * rest)) & 0x3f)
      }
    }
    return bytes.slice(0, size)
  }
}

const escaped = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).padStart(2, '0')}`)

/** Always fatal, as the client uses it. */
class PlainTextDecoder {
  decode(bytes: Uint8Array): string {
    let text = ''
    for (let from = 0, to: number; from < bytes.length; from = to) {
      // Decode in parts that end before the first byte of a character, which has at most four bytes.
      to = Math.min(from + 4096, bytes.length)
      for (let back = 0; back < 3 && ((bytes[to] ?? 0) & 0xc0) === 0x80; back++) to--
      const part = bytes.subarray(from, to)
      text += part.every((byte) => byte < 0x80)
        ? String.fromCharCode(...part)
        : // Throws for what is not UTF-8.
          decodeURIComponent(Array.from(part, (byte) => escaped[byte]).join(''))
    }
    return text
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function plainBtoa(binary: string): string {
  let text = ''
  for (let at = 0; at < binary.length; at += 3) {
    const byte = (offset: number) => binary.charCodeAt(at + offset) || 0
    const bits = (byte(0) << 16) | (byte(1) << 8) | byte(2)
    for (const shift of [18, 12, 6, 0]) text += alphabet[(bits >> shift) & 63]
  }
  const missing = (3 - (binary.length % 3)) % 3
  return text.slice(0, text.length - missing) + '='.repeat(missing)
}

const all: Record<string, unknown> = {
  EventTarget: PlainEventTarget,
  Event: PlainEvent,
  MessageEvent: PlainMessageEvent,
  DOMException: PlainDOMException,
  TextEncoder: PlainTextEncoder,
  TextDecoder: PlainTextDecoder,
  btoa: plainBtoa,
}

for (const [name, value] of Object.entries(all))
  if (!(name in globalThis))
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true })
