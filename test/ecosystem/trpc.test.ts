import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import { initTRPC } from '@trpc/server'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import { expect } from 'vitest'
import { numbers, onEachTransport } from './setting.ts'

const count = 300
const large = 'x'.repeat(1_000_000)

const { procedure, router } = initTRPC.create()
const asText = (input: unknown): string => String(input)
const api = router({
  echo: procedure.input(asText).query(({ input }) => input),
  length: procedure.input(asText).mutation(({ input }) => input.length),
  count: procedure.subscription(async function* () {
    for (const i of numbers(count)) {
      yield i
      if (i % 10 === 9) await new Promise(setImmediate)
    }
  }),
})

onEachTransport('tRPC', async (setting) => {
  applyWSSHandler({ wss: setting.serve(), router: api, keepAlive: { enabled: true } })
  const events: string[] = []
  const connection = createWSClient({
    url: setting.url,
    WebSocket: setting.WebSocket,
    onOpen: () => events.push('open'),
    onClose: (cause) => events.push(`close ${cause?.code}`),
  })
  const client = createTRPCClient<typeof api>({ links: [wsLink({ client: connection })] })
  const counted: unknown[] = []
  const counting = new Promise<void>((resolve, reject) => {
    client.count.subscribe(undefined, {
      onData: (i) => counted.push(i),
      onComplete: resolve,
      onError: reject,
    })
  })
  await setting.steps(count, async (i) => {
    expect(await client.echo.query(`query ${i}`)).toBe(`query ${i}`)
  }).all
  await counting
  expect(counted).toEqual(numbers(count))
  expect(await client.length.mutate(large)).toBe(large.length)
  await connection.close()
  await setting.finished(1005)
  expect(events).toEqual(['open', 'close 1005'])
})
