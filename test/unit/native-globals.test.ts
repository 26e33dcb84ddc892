// What is made up for in React Native does what the runtime's own does, as far as the client asks.
import fc from 'fast-check'
import { expect, test } from 'vitest'

const names = ['TextEncoder', 'TextDecoder', 'btoa', 'EventTarget', 'Event'] as const
const own = Object.fromEntries(names.map((name) => [name, globalThis[name]])) as Pick<
  typeof globalThis,
  (typeof names)[number]
>
for (const name of names) Reflect.deleteProperty(globalThis, name)
await import('../../client/page/native-globals.ts')
const made = Object.fromEntries(names.map((name) => [name, globalThis[name]])) as typeof own
Object.assign(globalThis, own)

const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ unit: 'grapheme' }))
const lone = fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes))

test('it is not what is compared with', () => {
  for (const name of names) expect(made[name]).not.toBe(own[name])
})

test('text is encoded alike, lone surrogates too', () => {
  const same = (text: string) => {
    expect([...new made.TextEncoder().encode(text)]).toEqual([...new own.TextEncoder().encode(text)])
  }
  fc.assert(fc.property(fc.oneof(texts, lone), same))
})

test('text is decoded alike, wherever it is cut into parts', () => {
  const decode = (text: string) => {
    expect(new made.TextDecoder('utf-8').decode(new own.TextEncoder().encode(text))).toBe(text)
  }
  for (const size of [4093, 4094, 4095, 4096, 8191])
    for (const letter of ['é', '語', '🚀']) decode(`${'x'.repeat(size)}${letter.repeat(10)}`)
  fc.assert(fc.property(texts, decode))
})

test('what is not UTF-8 is refused alike', () => {
  const outcome = (decode: (bytes: Uint8Array) => string, bytes: Uint8Array) => {
    try {
      return decode(bytes)
    } catch {
      return undefined
    }
  }
  const options = { fatal: true, ignoreBOM: true }
  const same = (bytes: Uint8Array) => {
    expect(outcome((some) => new made.TextDecoder('utf-8', options).decode(some), bytes)).toBe(
      outcome((some) => new own.TextDecoder('utf-8', options).decode(some), bytes),
    )
  }
  const broken = [
    [0x80],
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf0, 0x9f, 0x9a],
  ]
  for (const bytes of broken) same(Uint8Array.from(bytes))
  same(new Uint8Array(5000).fill(0x80))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), same))
})

test('btoa', () => {
  const same = (bytes: Uint8Array) => {
    const binary = String.fromCharCode(...bytes)
    expect(made.btoa(binary)).toBe(own.btoa(binary))
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), same))
})

test('listeners are called in order, each once; those that come and go meanwhile as the standard says', () => {
  const { EventTarget, Event } = made
  const log: string[] = []
  const target = new EventTarget()
  const second = () => log.push('second')
  const late = () => log.push('late')
  const first = (event: Event) => {
    log.push(`first ${event.type} ${event.target === target}`)
    target.removeEventListener('a', second)
    target.addEventListener('a', late)
  }
  target.addEventListener('a', first)
  target.addEventListener('a', first)
  target.addEventListener('a', second)
  target.addEventListener('a', { handleEvent: () => log.push('object') }, { once: true })
  target.addEventListener('b', () => log.push('b'))
  target.addEventListener('a', null)
  for (const type of ['a', 'a', 'b']) target.dispatchEvent(new Event(type))
  expect(log).toEqual(['first a true', 'object', 'first a true', 'late', 'b'])
})
