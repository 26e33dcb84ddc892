/**
 * Clients that come and go: nothing of them stays. In `npm test` some; ten thousand of each kind with
 * `EVERWIRE_CHURN=10000 npx vitest run test/armour/churn.test.ts`, after `npm run build`.
 */
import { expect, test } from 'vitest'
import { Ask } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { bodyOf, hello, type Piece, piece, RawClient } from '../support/raw-client.ts'
import { frame, Line } from './line.ts'
import { startTarget, type Target } from './target.ts'

const all = Number(process.env.EVERWIRE_CHURN ?? 6_400)
/** After so many a process has compiled what it needs. */
const first = Math.min(all / 2, 2_000)

/** Of a session that has ended its id is remembered. */
const idBytes = 128
const noise = 400 * 1024

const gone: Piece = piece('abort', Buffer.from('1001,'))

/** Comes and goes once. `beside`: a connection that stays, for short exchanges. */
type Visit = (target: Target, beside: Line) => Promise<void>

async function exchange(line: Line, body: Uint8Array): Promise<string> {
  const answer = line.answer()
  await line.post(body)
  return answer
}

/** Over HTTP: opened, held in this way, given up. */
const overHttp =
  (ask: number, hold: (held: Line, client: RawClient, opened: string) => Promise<unknown>): Visit =>
  async (target, beside) => {
    const client = new RawClient(target.url)
    const opened = await exchange(beside, bodyOf(client.head({ ask: Ask.open | ask, serial: 1 }), [hello()]))
    const held = new Line(target.port)
    await hold(held, client, opened)
    await exchange(beside, bodyOf(client.head({ serial: 2 }), [gone]))
    held.socket.destroy()
    await held.end()
  }

const visits: Record<string, Visit> = {
  plain: async ({ port }) => {
    const line = await new Line(port).upgrade()
    line.socket.destroy()
    await line.end()
  },
  websocket: async ({ url, port }) => {
    const line = await new Line(port).upgrade(new RawClient(url).token({ ask: Ask.open }))
    await line.write(frame(controlText('abort', '1001,'), 1))
    await line.answer()
    line.socket.destroy()
    await line.end()
  },
  stream: overHttp(0, (held, client) =>
    exchange(held, bodyOf(client.head({ ask: Ask.hold | Ask.stream, serial: 1 }))),
  ),
  sse: overHttp(Ask.ticket, async (held, _client, opened) => {
    const ticket = /[\w-]{40}/.exec(opened)?.[0]
    const answer = held.answer()
    await held.write(Buffer.from(`GET /realtime?everwire=${ticket} HTTP/1.1\r\nHost: x\r\n\r\n`))
    expect(await answer).toContain('text/event-stream')
  }),
  polling: overHttp(0, (held, client) => held.post(bodyOf(client.head({ ask: Ask.hold, serial: 1 })))),
}

test.each(Object.entries(visits))(
  'leave nothing behind on %s',
  { timeout: 600_000 },
  async (_carrier, visit) => {
    const target = await startTarget({ maxClientsPerAddress: all * 2 })
    const lanes = Array.from({ length: 8 }, () => new Line(target.port))
    let visited = 0
    const until = async (count: number): Promise<number> => {
      await Promise.all(
        lanes.map(async (beside) => {
          while (visited < count) {
            visited++
            await visit(target, beside)
          }
        }),
      )
      for (;;) {
        const { shown, ended } = await target.counts()
        if (shown === count && ended === count) return target.held()
      }
    }
    const before = await until(first)
    const after = await until(all)
    expect((await target.counts()).memory).toBe(0)
    expect(after - before).toBeLessThan((all - first) * idBytes + noise)
  },
)
