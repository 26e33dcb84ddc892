// The configurations in docs/NETWORKS.md, as they stand there: WebSockets pass, streams are not held back, long holds are borne.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import type { ProxyProgram } from '../support/proxies.ts'
import { needs } from '../support/tools.ts'
import { everwireOver } from './contestant.ts'
import { holds } from './holds.ts'
import type { Network } from './network.ts'
import { run } from './run.ts'

const document = readFileSync(new URL('../../docs/NETWORKS.md', import.meta.url), 'utf8')
const programs: Readonly<Record<string, ProxyProgram>> = {
  nginx: 'nginx',
  haproxy: 'haproxy',
  apache: 'apache2',
}
/** Longer than the server holds a request by default. */
const long = 16_500

const configurations = [...document.matchAll(/^```(\w+)\n(.*?)^```/gms)].flatMap(
  ([, language = '', text = '']) => {
    const program = programs[language]
    return program ? [{ program, config: placed(text) }] : []
  },
)

/** With our ports, where people have theirs. */
function placed(config: string): string {
  return config
    .replaceAll('127.0.0.1:3000', '127.0.0.1:TARGET')
    .replace(/(listen |bind |<VirtualHost )(\*?:)?80\b/, '$1127.0.0.1:PORT')
}

test('there is one for each', () => {
  expect(configurations.map(({ program }) => program)).toEqual(['nginx', 'haproxy', 'apache2'])
  for (const { config } of configurations) {
    expect(config).toContain('127.0.0.1:PORT')
    expect(config).toContain('127.0.0.1:TARGET')
  }
})

describe.concurrent('as documented', () => {
  for (const proxy of configurations) {
    const { program } = proxy
    const network = (transport: Transport, during?: Network['during']): Network => ({
      name: `${program} as documented, ${transport}`,
      does: 'Lets everything through.',
      proxy,
      ...(during && { during }),
      limits: { first: 250, gap: 250, because: 'nothing is held back', uses: [transport] },
    })

    needs(program, program, () => {
      test('passes WebSockets', async () => {
        const open = network('websocket')
        const result = await run(everwireOver(), open)
        holds(open, result)
        expect(result.transports).toEqual(['websocket'])
      })

      test.for(['stream', 'sse'] as const)('does not hold back what comes over %s', async (transport) => {
        const open = network(transport)
        const result = await run(everwireOver([transport]), open)
        holds(open, result)
        expect(result.transports).toEqual([transport])
      })

      test('bears a request that is held for long', async () => {
        let requests = 0
        const open = network('polling', async ({ net, exchange, silence }) => {
          await exchange(10)
          const count = (): void => {
            requests++
          }
          net.on('request', count)
          await silence(long)
          net.off('request', count)
          await exchange(10)
        })
        const result = await run(everwireOver(['polling']), open)
        holds(open, result)
        expect(result.transports).toEqual(['polling'])
        // The one held when both fell silent, the acknowledgement that it brings forth, and the next one held.
        expect(requests).toBeLessThanOrEqual(4)
      })
    })
  }
})
