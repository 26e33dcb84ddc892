// What the doctor says a client will do is what a client does.
import { onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { type Faults, hostileNetwork } from '../../testing/index.ts'
import { lookThrough, ours } from './setting.ts'

const networks: readonly Partial<Faults>[] = [
  {},
  { upgrade: 403 },
  { upgrade: 'swallow' },
  { upgrade: 'mute to client' },
  { upgrade: 403, buffer: true },
  { upgrade: 'mute', buffer: true },
]

test.each(networks)('a client ends up on what the plan names: %o', async (faults) => {
  const serving = await ours()
  const network = await hostileNetwork(serving.port, { seed: 1, ...faults })
  onTestFinished(() => network.close())
  const url = `${network.url}/realtime`
  const { plan } = await lookThrough(serving, url)
  const socket = new WebSocket(url)
  onTestFinished(() => socket.close())
  // It may begin on one that then shows that it does not carry.
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (socket.transport === plan.starts) resolve()
    }
    socket.addEventListener('open', look)
    socket.addEventListener('transportchange', look)
  })
})
