// The configurations in docs/NETWORKS.md, as they stand there: WebSockets pass, streams are not held back, long holds are borne.
import { readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Transport } from '../../client/node.ts'
import { defaultHeartbeat } from '../../shared/limits.ts'
import { type ProxyProgram, type ProxySetup, startProxy } from '../support/proxies.ts'
import { RawClient } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'
import { needs } from '../support/tools.ts'
import { everwireOver } from './contestant.ts'
import { path } from './follow.ts'
import { holds } from './holds.ts'
import { allowed } from './list/limits.ts'
import type { Network } from './network.ts'
import { run } from './run.ts'

const document = readFileSync(new URL('../../docs/NETWORKS.md', import.meta.url), 'utf8')
const programs: Readonly<Record<string, ProxyProgram>> = {
  nginx: 'nginx',
  haproxy: 'haproxy',
  apache: 'apache2',
  caddy: 'caddy',
}

const blocks = [...document.matchAll(/^```(\w+)\n(.*?)^```/gms)]
const configurations = blocks.flatMap(([, language = '', text = '']): ProxySetup[] => {
  const program = programs[language]
  return program ? [{ program, config: placed(text) }] : []
})

/** With our ports, where people have theirs. */
function placed(config: string): string {
  return config
    .replaceAll('127.0.0.1:3000', '127.0.0.1:TARGET')
    .replace(/(listen |bind |<VirtualHost )(\*?:)?80\b/, '$1127.0.0.1:PORT')
    .replace(/^:80\b/m, ':PORT')
}

test('there is one for each', () => {
  expect(configurations.map(({ program }) => program)).toEqual(['nginx', 'haproxy', 'apache2', 'caddy'])
  for (const { config } of configurations) {
    expect(config).toContain(':PORT')
    expect(config).toContain('127.0.0.1:TARGET')
  }
})

describe.concurrent('as documented', () => {
  for (const proxy of configurations) {
    needs(proxy.program, proxy.program, () => {
      test.for(['websocket', 'stream', 'sse'] as const)(
        'carries it over %s',
        async (transport: Transport) => {
          const network: Network = {
            name: `${proxy.program} as documented, ${transport}`,
            does: 'Lets everything through, at once.',
            proxy,
            limits: { ...allowed, uses: [transport] },
          }
          holds(network, await run(everwireOver([transport]), network))
        },
      )
    })
  }
})

// All wait together: it is a matter of time alone.
needs([...new Set(Object.values(programs))], 'together', () => {
  test('bear a request that is held as long as the server holds one', async () => {
    await Promise.all(
      configurations.map(async (setup) => {
        const { port } = await serve({ path })
        const proxy = await startProxy(setup, port)
        onTestFinished(() => proxy.stop())
        const client = new RawClient(`http://127.0.0.1:${proxy.port}${path}`)
        await client.open()
        const began = performance.now()
        const answer = await client.poll()
        expect(answer.head?.status, setup.program).toBe(0)
        expect(performance.now() - began, setup.program).toBeGreaterThan(defaultHeartbeat * 0.9)
      }),
    )
  })
})
