// HTTP transports that may hold a connection only when there is leave: without it they ask from time to time, and lose nothing.
import { describe, expect, onTestFailed, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { Ask } from '../../shared/exchange.ts'
import { type ClientEnd, converse, Line, type ServerEnd } from '../support/line.ts'
import { ownTimeOf } from '../support/own-time.ts'

/** One slot, that there is or is not. */
class Desk {
  free = false
  /** How often it was asked for, and how often it is taken now. */
  asked = 0
  taken = 0
  wantBack: (() => void) | undefined
  /** Called before an exchange leaves that is to be held: it waits for this. */
  beforeHeld: () => Promise<void> | undefined = () => undefined
  readonly Client: typeof WebSocket

  constructor() {
    const around = (native: Platform): Platform => this.#around(native)
    this.Client = class extends WebSocket {
      protected static override readonly platform: Platform = around(super.platform)
    }
  }

  /** Takes it away, as a page does that is no longer seen. */
  close(): void {
    this.free = false
    this.wantBack?.()
  }

  #around(native: Platform): Platform {
    return {
      ...native,
      slot: () => (giveBack) => this.#ask(giveBack),
      post: async (url, init, options) => {
        if (((init.body[1] ?? 0) & Ask.hold) !== 0) await this.beforeHeld()
        return native.post(url, init, options)
      },
      listen: async (url, signal, options) => {
        await this.beforeHeld()
        return native.listen(url, signal, options)
      },
    }
  }

  async #ask(giveBack: () => void): Promise<(() => void) | undefined> {
    this.asked++
    // A lock is asked of another process.
    await new Promise(setImmediate)
    if (!this.free) return undefined
    this.taken++
    this.wantBack = giveBack
    let given = true
    return () => {
      if (given) this.taken--
      given = false
      this.wantBack = undefined
    }
  }
}

/** What of the requests that begin is held. */
function heldOf(line: Line): { requests: number; held: number } {
  const seen = { requests: 0, held: 0 }
  line.network.on('data', (_connection, direction, chunk) => {
    if (direction !== 'to server') return
    const body = chunk.indexOf('\r\n\r\n') + 4
    const stream = /^GET \S*everwire=/.test(chunk.toString('latin1', 0, 200))
    if (stream) seen.held++
    // Head and body of a small request come together, or the body by itself.
    if (chunk[body] === 0xe1 || chunk[0] === 0xe1) {
      seen.requests++
      const ask = chunk[body] === 0xe1 ? chunk[body + 1] : chunk[1]
      if (((ask ?? 0) & Ask.hold) !== 0) seen.held++
    }
  })
  return seen
}

async function endsWell({ client, server }: { client: ClientEnd; server: ServerEnd }): Promise<void> {
  client.socket.close(4321, 'done')
  await Promise.all([client.untilClosed(), server.untilClosed()])
  expect(client.life).toEqual(['open', 'close 4321 done'])
  expect(server.life).toEqual(['close 4321 done'])
}

describe.each(['stream', 'sse', 'polling'] as const)('over %s', (transport) => {
  const options = { transports: [transport] }

  test('without leave nothing is held, and what the server says comes with the next question', async () => {
    const desk = new Desk()
    const line = await Line.lay()
    const seen = heldOf(line)
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    const began = performance.now()
    const waited = await ownTimeOf(async () => {
      for (let i = 1; i <= 3; i++) {
        server.socket.send(`message ${i}`)
        await client.untilMessages(i)
      }
    })
    expect(client.messages).toEqual(['message 1', 'message 2', 'message 3'])
    // Once a second: neither much more often nor more seldom.
    const elapsed = performance.now() - began
    expect(elapsed).toBeGreaterThan(1500)
    expect(waited).toBeLessThan(4500)
    expect(desk.asked).toBeLessThanOrEqual(2 + elapsed / 1000)
    expect(seen.requests).toBeLessThanOrEqual(4 + elapsed / 1000)
    expect(seen.held).toBe(0)
    expect(client.transports).toEqual([transport])
    expect(client.socket.diary).toMatchObject([{ type: 'carrier', sound: expect.any(Number) }])
    await converse(client, server, 20)
    await endsWell(ends)
    expect(seen.held).toBe(0)
  })

  test('once there is leave it is used, and given back at the end', async () => {
    const desk = new Desk()
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    server.socket.send('by a question')
    await client.untilMessages(1)
    desk.free = true
    const held = line.next(
      'to server',
      () => {},
      () => desk.taken === 1,
    )
    await held
    const asked = desk.asked
    for (let i = 0; i < 20; i++) {
      server.socket.send(`quick ${i}`)
      await client.untilMessages(2 + i)
    }
    // Twenty in a row, each after the one before: not by a question a second.
    expect(desk.asked - asked).toBeLessThanOrEqual(transport === 'polling' ? 22 : 1)
    expect(client.transports).toEqual([transport])
    expect(server.socket.transport).toBe(transport)
    await converse(client, server, 200)
    await endsWell(ends)
    expect(desk.taken).toBe(0)
  })

  test('leave that is wanted back is given back, though nobody says anything', async () => {
    const desk = new Desk()
    desk.free = true
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    server.socket.send('held')
    await client.untilMessages(1)
    await expect.poll(() => server.socket.transport).toBe(transport)
    await expect.poll(() => desk.taken).toBe(1)
    desk.close()
    await expect.poll(() => desk.taken).toBe(0)
    expect(client.transports).toEqual([transport])
    await endsWell(ends)
  })

  test('leave that is wanted back while the request it was for is on its way', async () => {
    const desk = new Desk()
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    const overtaken = new Promise<void>((resolve) => {
      desk.beforeHeld = () => {
        desk.beforeHeld = () => undefined
        desk.close()
        client.socket.send('in front of it')
        void server.untilMessages(1).then(resolve)
        return overtaken
      }
    })
    desk.free = true
    await overtaken
    await expect.poll(() => desk.taken).toBe(0)
    server.socket.send('by a question')
    await client.untilMessages(1)
    await endsWell(ends)
  })

  test('leave that comes and goes while both ends talk: nothing lost, nothing twice', async () => {
    const desk = new Desk()
    desk.free = true
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const seed = Number(process.env.EVERWIRE_SEED ?? Math.floor(Math.random() * 2 ** 31))
    onTestFailed(() => console.log(`EVERWIRE_SEED=${seed} makes the same decisions again`))
    let state = seed
    const next = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >>> 8) % 10
    }
    let left = 10
    let turns = 0
    line.network.on('data', () => {
      if (left-- > 0) return
      left = 5 + next()
      turns++
      if (desk.free) desk.close()
      else desk.free = true
    })
    // Many messages may come in one packet: how much talk it takes depends on the machine.
    for (let talk = 0; turns <= 4 && talk < 50; talk++) {
      await converse(ends.client, ends.server, 100)
    }
    expect(turns).toBeGreaterThan(4)
    expect(ends.client.transports, JSON.stringify(ends.client.socket.diary)).toEqual([transport])
    desk.free = true
    await endsWell(ends)
    expect(desk.taken).toBe(0)
  })

  test('a held exchange may begin later than all that was seen before it', async () => {
    const desk = new Desk()
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    await converse(client, server, 20)
    // 180 ms, where a few were enough.
    desk.beforeHeld = () => void line.network.set({ delay: 90 })
    desk.free = true
    await expect.poll(() => desk.taken).toBe(1)
    await converse(client, server, 20)
    expect(client.transports, JSON.stringify(client.socket.diary)).toEqual([transport])
    line.network.set({ delay: 0 })
    await endsWell(ends)
  })

  test('leave that is taken back is no sign of a network that cuts', async () => {
    let passed = 0
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + passed)
    onTestFinished(() => void vi.restoreAllMocks())
    const desk = new Desk()
    const line = await Line.lay()
    const ends = await line.open(options, desk.Client)
    const { client, server } = ends
    for (let i = 1; i <= 2; i++) {
      desk.free = true
      await expect.poll(() => desk.taken).toBe(1)
      server.socket.send(`held ${i}`)
      await client.untilMessages(2 * i - 1)
      await expect.poll(() => desk.taken).toBe(1)
      // Silent for so long that a cut would say something.
      passed += 2500
      desk.close()
      server.socket.send(`asked ${i}`)
      await client.untilMessages(2 * i)
      await expect.poll(() => desk.taken).toBe(0)
    }
    expect(client.messages).toEqual(['held 1', 'asked 1', 'held 2', 'asked 2'])
    const { diary } = client.socket
    expect(diary.filter(({ type }) => type === 'lesson')).toEqual([])
    expect(diary.filter(({ type }) => type === 'carrier').length).toBe(1)
    await endsWell(ends)
  })
})
