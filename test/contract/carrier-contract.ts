/**
 * What every carrier of the client owes the rest of it, whatever it speaks: client/base/carrier.ts. Run by each of them, in front
 * of it a client that is nothing but a session and a record, behind it a real server.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocketServer as OtherServer } from 'ws'
import type { Carrier, CarrierHost, CarrierLink } from '../../client/base/carrier.ts'
import { now } from '../../client/base/clock.ts'
import type { Transport } from '../../client/base/types.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { binaryMessage, textMessage } from '../../shared/message.ts'
import { Line, Record, type ServerEnd } from '../support/line.ts'
import { BareClient } from './bare-client.ts'

/** Makes the carrier under test, to a server at this address (with ws:). */
export type OpenCarrier = (client: CarrierHost, link: CarrierLink, url: string) => Carrier

export interface Implementation {
  readonly transport: Transport
  readonly open: OpenCarrier
  /** Whether it survives a connection that is cut, by asking again; otherwise that is its end. */
  readonly asksAgain: boolean
}

const MiB = 1_048_576

class TestClient extends BareClient {
  readonly url: string
  readonly #open: OpenCarrier
  readonly #record = new Record()

  constructor({ open, transport }: Implementation, url: string, connectTimeout = 5000) {
    super(transport, connectTimeout)
    this.#open = open
    this.url = url
    onTestFinished(() => {
      for (const { carrier } of this.links) carrier?.close()
    })
  }

  get events(): readonly string[] {
    return this.#record.events
  }

  get messages(): readonly string[] {
    return this.#record.messages
  }

  until(look: () => boolean): Promise<void> {
    return this.#record.until(look)
  }

  untilMessages(count: number): Promise<void> {
    return this.#record.untilMessages(count)
  }

  untilEvent(text: string): Promise<void> {
    return this.#record.untilEvent(text)
  }

  untilClosed(): Promise<void> {
    return this.#record.untilClosed()
  }

  protected override open(link: CarrierLink): Carrier {
    return this.#open(this, link, this.url)
  }

  override event(text: string): void {
    this.#record.event(text)
  }

  override message(text: string): void {
    this.#record.message(text)
  }

  /** Those of one carrier. */
  of(link: CarrierLink): string[] {
    return this.events.filter((event) => event.split(' ')[1] === String(link.epoch))
  }

  async ended(link: CarrierLink): Promise<string> {
    await this.until(() => this.of(link).some((event) => event.startsWith('lost')))
    return this.of(link).find((event) => event.startsWith('lost')) as string
  }
}

/** A turn of the network: whatever was on its way when this began has come. */
async function afterAnotherLife(line: Line, implementation: Implementation): Promise<void> {
  const { client, link } = await opened(line, implementation)
  link.carrier?.close()
  client.used = undefined
}

async function opened(
  line: Line,
  implementation: Implementation,
  connectTimeout?: number,
): Promise<{ client: TestClient; link: CarrierLink; server: ServerEnd }> {
  const before = line.servers.length
  const client = new TestClient(implementation, line.url, connectTimeout)
  const link = client.begin()
  await client.untilEvent(`proven ${link.epoch}`)
  await line.arrived(before + 1)
  return { client, link, server: line.servers[before] as ServerEnd }
}

const numbers = (from: number, to: number, name: string): string[] =>
  Array.from({ length: to - from }, (_, i) => `${name} ${from + i}`)

export function carrierContract(implementation: Implementation): void {
  const { asksAgain, transport } = implementation

  test('it begins by itself, is proven once by the welcome, and attaches when it is taken', async () => {
    const line = await Line.lay({ patience: 1234, heartbeat: 5678 })
    const { client, link, server } = await opened(line, implementation)
    expect(client.events).toEqual(['attach 1 attached', 'proven 1'])
    expect(client.welcome).toMatchObject({ got: 0, protocol: '', patience: 1234, heartbeat: 5678 })
    expect(client.session.link).toBe(link)
    await server.until(() => server.socket.transport === transport)
  })

  test('what waited in the session goes out once it is taken, and not before', async () => {
    const line = await Line.lay()
    const client = new TestClient(implementation, line.url)
    client.send(...numbers(0, 20, 'early'))
    client.begin()
    await line.arrived(1)
    const [server] = line.servers as [ServerEnd]
    await server.untilMessages(20)
    expect(server.messages).toEqual(numbers(0, 20, 'early'))
  })

  test('order: texts, bytes and a large message between small ones, both ways', async () => {
    const line = await Line.lay()
    const { client, server } = await opened(line, implementation)
    const large = 'x'.repeat(MiB)
    const all = [...numbers(0, 50, 'message'), large, '', '\0', ...numbers(50, 100, 'message')]
    for (const text of all) server.socket.send(text)
    client.send(...all)
    client.session.send(binaryMessage(new Uint8Array([66])))
    client.send('last')
    await Promise.all([client.untilMessages(all.length), server.untilMessages(all.length + 2)])
    expect(client.messages.map(shortened)).toEqual(all.map(shortened))
    expect(server.messages.map(shortened)).toEqual([...all, 'B', 'last'].map(shortened))
  })

  test('flush() sends what there is, as often as it is called', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    for (const text of numbers(0, 10, 'flushed')) {
      client.session.send(textMessage(text, text.length))
      link.carrier?.flush()
      link.carrier?.flush()
    }
    await server.untilMessages(10)
    link.carrier?.flush()
    await afterAnotherLife(line, implementation)
    expect(server.messages).toEqual(numbers(0, 10, 'flushed'))
  })

  test('it has as many bytes in hand as it has taken and not got rid of: at last none', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    const all = (): number => client.session.unsentBytes + (link.carrier?.buffered ?? 0)
    client.send('x'.repeat(MiB))
    expect(all()).toBe(MiB)
    await Promise.resolve()
    expect(all()).toBe(MiB)
    await server.untilMessages(1)
    await expect.poll(() => link.carrier?.buffered).toBe(0)
    expect(client.session.unsentBytes).toBe(0)
  })

  test('the server is silent from the start: it is not proven and says nothing, and close() ends it', async () => {
    const line = await Line.lay()
    line.network.set({ connections: 'swallow' })
    const client = new TestClient(implementation, line.url, 60_000)
    const link = client.begin()
    const [connection] = await once(line.network, 'connection')
    const gone = new Promise<void>((resolve) => {
      line.network.on('end', (ended) => ended === connection && resolve())
    })
    line.network.set({ connections: 'pass' })
    await afterAnotherLife(line, implementation)
    expect(client.events).toEqual([])
    link.carrier?.close()
    await gone
    expect(client.events).toEqual([])
  })

  test('nothing is reported after close(), whatever still comes', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    const before = client.events.length
    link.carrier?.close()
    link.carrier?.close()
    link.carrier?.flush()
    for (const text of numbers(0, 10, 'too late')) server.socket.send(text)
    line.network.cut()
    await afterAnotherLife(line, implementation)
    expect(client.events.slice(before)).toEqual([])
    expect(client.messages).toEqual([])
  })

  test('what it was given before close() still goes out', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    client.send('given')
    await expect.poll(() => link.sent).toBe(1)
    link.carrier?.close()
    client.used = undefined
    // The server may know it before the next carrier tells it anything.
    client.begin()
    await client.untilEvent('proven 2')
    client.send('after')
    await server.untilMessages(2)
    expect(server.messages).toEqual(['given', 'after'])
  })

  test('refused: its end is reported once, with the reason, and it is never proven', async () => {
    const line = await Line.lay({ verifyClient: () => false })
    const client = new TestClient(implementation, line.url)
    const link = client.begin()
    expect(await client.ended(link)).toContain('401')
    link.carrier?.flush()
    link.carrier?.close()
    expect(client.events.length).toBe(1)
    expect(line.servers).toEqual([])
  })

  if (transport === 'websocket') {
    test('refused by something on the way: the reason says with what', async () => {
      const line = await Line.lay()
      line.network.set({ upgrade: 403 })
      const client = new TestClient(implementation, line.url)
      expect(await client.ended(client.begin())).toContain('403')
    })
  }

  test('nobody there: its end is reported once', async () => {
    const line = await Line.lay()
    line.network.set({ connections: 'refuse' })
    const client = new TestClient(implementation, line.url)
    const link = client.begin()
    await client.ended(link)
    line.network.clear()
    await afterAnotherLife(line, implementation)
    expect(client.events.length).toBe(1)
  })

  test('a server that is not ours: its end is reported once', async () => {
    const { port, heard } = await startStranger()
    const client = new TestClient(implementation, `ws://127.0.0.1:${port}/realtime`)
    const link = client.begin()
    await client.ended(link)
    expect(heard()).toBeGreaterThan(0)
    expect(client.events.length).toBe(1)
  })

  test('a session that the server does not know: the session hears it, 1006', async () => {
    const line = await Line.lay()
    const client = new TestClient(implementation, line.url)
    client.welcome = { got: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: MiB }
    client.begin()
    await client.untilEvent('close 1006 unknown session')
    expect(client.events.filter((event) => event.startsWith('proven'))).toEqual([])
    expect(line.servers).toEqual([])
  })

  test('standing by: it is proven beside the one in use, which goes on; taken, it goes on where that was', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    client.send(...numbers(0, 5, 'c'))
    for (const text of numbers(0, 5, 's')) server.socket.send(text)
    const second = client.begin(true)
    client.send(...numbers(5, 10, 'c'))
    for (const text of numbers(5, 10, 's')) server.socket.send(text)
    await client.untilEvent('proven 2')
    client.send(...numbers(10, 15, 'c'))
    for (const text of numbers(10, 15, 's')) server.socket.send(text)
    await Promise.all([client.untilMessages(15), server.untilMessages(15)])
    expect(client.messages).toEqual(numbers(0, 15, 's'))
    expect(server.messages).toEqual(numbers(0, 15, 'c'))
    expect(client.session.link).toBe(second)
    expect(await client.ended(link)).toMatch(/^lost 1 /)
    expect(line.servers.length).toBe(1)
  })

  test('standing by and left: the one in use does not notice', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    client.whenProven = 'close'
    client.begin(true)
    await client.untilEvent('proven 2')
    client.send('still')
    server.socket.send('here')
    await Promise.all([client.untilMessages(1), server.untilMessages(1)])
    expect(client.session.link).toBe(link)
    expect(client.of(link)).toEqual(['attach 1 attached', 'proven 1'])
    expect(server.events.filter((event) => event !== `transport ${transport}`)).toEqual([])
  })

  test.each(['to server', 'to client'] as const)('cut in the middle of a message %s', async (direction) => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    let passed = 0
    const watch = (_connection: unknown, way: string, chunk: Buffer): void => {
      if (way === direction) passed += chunk.length
      if (passed < 200_000) return
      line.network.off('data', watch)
      line.network.cut()
    }
    line.network.on('data', watch)
    const all = ['before', 'x'.repeat(MiB), 'after']
    if (direction === 'to server') client.send(...all)
    else for (const text of all) server.socket.send(text)
    if (!asksAgain) {
      await client.ended(link)
      client.begin()
    }
    const to = direction === 'to server' ? server : client
    await to.untilMessages(3)
    expect(to.messages.map(shortened)).toEqual(all.map(shortened))
    expect(client.of(link).filter((event) => event.startsWith('lost')).length).toBe(asksAgain ? 0 : 1)
  })

  test('cut for good: its end is reported once, and last', async () => {
    const line = await Line.lay()
    const { client, link } = await opened(line, implementation)
    line.network.set({ connections: 'refuse' })
    line.network.cut()
    await client.ended(link)
    client.session.send(textMessage('nobody takes it', 1))
    link.carrier?.flush()
    line.network.clear()
    await afterAnotherLife(line, implementation)
    expect(client.of(link).map((event) => event.split(' ')[0])).toEqual(['attach', 'proven', 'lost'])
  })

  test('the server falls silent: requests that get no answer are its end; a WebSocket leaves that to the session', async () => {
    const line = await Line.lay()
    const { client, link } = await opened(line, implementation, 100)
    line.network.silence()
    line.network.set({ connections: 'swallow' })
    client.send('into the void')
    if (asksAgain) expect(await client.ended(link)).toMatch(/^lost 1 (timeout|held back)$/)
    else {
      const { silence, grace } = defaultLimits
      client.session.handleTimeout(now() + silence + grace)
      client.session.handleTimeout(now() + silence + 3 * grace)
      expect(client.session.event()).toMatchObject({ type: 'drop', link, why: 'silent' })
    }
  })

  test('a newer carrier is taken by the server: the older is told, and reports it as its end', async () => {
    const line = await Line.lay()
    const { client, link, server } = await opened(line, implementation)
    client.begin()
    await client.untilEvent('proven 2')
    expect(await client.ended(link)).toBe('lost 1 superseded')
    client.send('on the newer')
    await server.untilMessages(1)
    expect(line.servers.length).toBe(1)
  })
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.length} characters` : text
}

/** A page for every request, and a WebSocket server that takes everybody and says something of its own. */
async function startStranger(): Promise<{ port: number; heard: () => number }> {
  let count = 0
  const server = createServer((_request, response) => {
    count++
    response.end('<!doctype html><title>Sign in to this network</title>')
  })
  const other = new OtherServer({ server })
  other.on('connection', (socket) => {
    count++
    socket.send('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of other.clients) socket.terminate()
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, heard: () => count }
}
