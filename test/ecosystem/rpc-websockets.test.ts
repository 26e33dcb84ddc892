import { CommonClient, type Server } from 'rpc-websockets'
import { expect, onTestFinished } from 'vitest'
import * as ws from '../../ws/index.ts'
import { importReplacing } from './replaced.ts'
import { numbers, onEachTransport } from './setting.ts'

const count = 300
const large = 'x'.repeat(1_000_000)

// Its server takes no class; its client does.
const library = await importReplacing<{ Server: typeof Server }>('rpc-websockets', 'ws', ws)

onEachTransport('rpc-websockets', async (setting) => {
  const server = new library.Server({ server: setting.server })
  onTestFinished(() => server.close())
  // Its types know of no results.
  const register = server.register.bind(server) as unknown as (
    name: string,
    run: (params: never) => unknown,
  ) => void
  register('sum', ([a, b]: [number, number]) => a + b)
  register('echo', ([value]: [unknown]) => {
    server.emit('heard', value)
    return value
  })
  server.event('heard')
  const events: string[] = []
  const client = new CommonClient(
    (address) =>
      new setting.WebSocket(address) as unknown as ReturnType<ConstructorParameters<typeof CommonClient>[0]>,
    setting.url,
    { reconnect_interval: 10 },
  )
  client.on('close', (code: number) => events.push(`close ${code}`))
  await new Promise<void>((resolve) =>
    client.on('open', () => {
      events.push('open')
      resolve()
    }),
  )
  await client.subscribe('heard')
  const heard: unknown[] = []
  client.on('heard', (value: unknown) => heard.push(value))
  await setting.steps(count, async (i) => {
    const answers = await Promise.all([client.call('sum', [i, 1]), client.call('echo', [i])])
    expect(answers).toEqual([i + 1, i])
  }).all
  expect(heard).toEqual(numbers(count))
  expect(await client.call('echo', [large])).toBe(large)
  const closed = new Promise((resolve) => client.on('close', resolve))
  client.close(4005)
  await closed
  await setting.finished(4005)
  expect(events).toEqual(['open', 'close 4005'])
})
