// A WebSocket whose peer sends in tiny pieces: what `ws` keeps of a message is a list of them.
import { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Wire } from '../../server/base/wire.ts'
import { frame, frameHead } from './line.ts'

/** A connection; what has come over it, the test says. */
class Connection extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

/** What is looked at is part of `ws`, but not of its types. */
interface Inside {
  setSocket(socket: Duplex, head: Buffer, options: object): void
  readonly _receiver: { readonly _buffers: readonly Buffer[]; readonly _fragments: readonly Buffer[] }
}

interface Opened {
  readonly wire: Wire
  readonly connection: Connection
  readonly messages: Buffer[]
  readonly receiver: Inside['_receiver']
  pieces(): number
}

function open(): Opened {
  const connection = new Connection()
  const wire = new Wire(null as never, undefined, {})
  const inside = wire as unknown as Inside
  const messages: Buffer[] = []
  wire.handler = {
    messaged: (data) => void messages.push(data),
    closed: () => {},
    faulty: () => {},
    growing: () => {},
  }
  inside.setSocket(connection, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 100_000_000 })
  wire.watch(connection)
  onTestFinished(() => void connection.destroy())
  return {
    wire,
    connection,
    messages,
    receiver: inside._receiver,
    pieces: () => inside._receiver._buffers.length + inside._receiver._fragments.length,
  }
}

test.each([
  ['one byte', () => 1, 200_000],
  ['a packet', () => 1_400, 20_000_000],
  ['ever more', (at: number) => 1 + (at % 40_000), 20_000_000],
])('in pieces of %s it comes whole, and they are few', (_what, sizeAt, size) => {
  const { wire, connection, messages, pieces } = open()
  const payload = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251))
  const message = Buffer.alloc(size, payload)
  const bytes = Buffer.concat([frame('first'), frameHead(size), message, frame('last')])
  let most = 0
  let mostCounted = 0
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sizeAt(at))
    connection.emit('data', Buffer.from(bytes.subarray(at, end)))
    at = end
    most = Math.max(most, pieces())
    mostCounted = Math.max(mostCounted, wire.partialBytes)
  }
  expect(messages.map(({ length }) => length)).toEqual([5, size, 4])
  expect(messages[1]?.equals(message)).toBe(true)
  // Each has a cost of its own, and when the message is whole they are taken from the beginning of a list one by one.
  expect(most).toBeLessThan(2_000)
  expect(mostCounted).toBeGreaterThanOrEqual(size)
  expect(mostCounted).toBeLessThan(size + 300_000)
  expect(wire.partialBytes).toBe(0)
})

test('fragments are joined, too', () => {
  const { wire, connection, messages, pieces } = open()
  const count = 10_000
  connection.emit('data', frame('0', 2, false))
  for (let i = 1; i < count; i++) connection.emit('data', frame(String(i % 10), 0, false))
  expect(pieces()).toBeLessThan(200)
  expect(wire.partialBytes).toBeGreaterThanOrEqual(count)
  expect(wire.partialBytes).toBeLessThan(3 * count)
  connection.emit('data', frame('', 0))
  expect(String(messages[0])).toBe('0123456789'.repeat(count / 10))
})

/** What a list of pieces keeps alive. */
function kept(pieces: readonly Buffer[]): number {
  return [...new Set(pieces.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

/** A read of the network: memory of its own. */
function read(...frames: readonly Buffer[]): Buffer {
  const all = Buffer.concat(frames)
  return Buffer.from(new Uint8Array(all).buffer)
}

describe('a small piece does not keep the read that it came in', () => {
  const large = frame(new Uint8Array(40_000))
  const pings = new Array<Buffer>(300).fill(frame('x'.repeat(120), 10))

  test('at the end of a read', () => {
    const { connection, receiver } = open()
    connection.emit('data', read(large, frameHead(1000).subarray(0, 5)))
    expect(receiver._buffers.map(({ length }) => length)).toEqual([3])
    expect(kept(receiver._buffers)).toBeLessThan(20_000)
  })

  test('as a fragment, with small messages around it', () => {
    const { connection, messages, receiver } = open()
    const begin = frame('0', 2, false)
    // The list of the next message is as long as that of the last one was when it was looked at.
    connection.emit('data', read(...pings, begin))
    for (let i = 1; i < 10; i++) connection.emit('data', read(frame('', 0), begin, ...pings))
    expect(kept(receiver._fragments)).toBeLessThan(20_000)
    for (let i = 1; i < 200; i++) connection.emit('data', read(...pings, frame(String(i % 10), 0, false)))
    expect(kept(receiver._fragments)).toBeLessThan(64 * 20_000)
    connection.emit('data', read(frame('', 0)))
    expect(String(messages.at(-1))).toBe('0123456789'.repeat(20))
  })
})
