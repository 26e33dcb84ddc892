// examples/monitoring/server.mjs as it stands there, asked as Prometheus asks; and the channels that the document names.
import { readFileSync } from 'node:fs'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import type { ServerChannels } from '../../server/index.ts'
import { startProgram } from '../support/program.ts'

beforeAll(ensureBuilt)

test('the example serves its metrics', async () => {
  const { url, stop } = await startProgram('examples/monitoring/server.mjs')
  onTestFinished(stop)
  const socket = new WebSocket(`${url}/realtime`, [], { transports: ['polling'], remember: false })
  await new Promise((resolve) => {
    socket.onopen = () => socket.send('hello')
    socket.onmessage = resolve
  })
  const answer = await fetch(`${url}/metrics`)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; /)
  const text = await answer.text()
  expect(text).toMatch(/^everwire_carriers\{transport="polling"\} 1$/m)
  expect(text).toMatch(/^everwire_messages_total\{direction="received"\} 1$/m)
  expect(text).toMatch(/^process_cpu_seconds_total /m)
  socket.close()
})

test('the document names each channel and each member of its message', () => {
  const document = readFileSync(new URL('../../docs/MONITORING.md', import.meta.url), 'utf8')
  const members: { readonly [Name in keyof ServerChannels]: readonly (keyof ServerChannels[Name])[] } = {
    'everwire:session.open': ['socket', 'request', 'plain'],
    'everwire:session.resume': ['socket', 'transport', 'away'],
    'everwire:session.end': ['socket', 'plain', 'cause', 'code', 'reason'],
    'everwire:session.unknown': ['request'],
    'everwire:refuse': ['request', 'status', 'reason'],
    'everwire:carrier.begin': ['socket', 'carrier', 'purpose', 'from'],
    'everwire:carrier.end': ['socket', 'carrier'],
  }
  const rows = [...document.matchAll(/^\| `(everwire:[\w.]+)` \|[^|]*\|(.*)\|$/gm)]
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(members))
  for (const [, name = '', row = ''] of rows) {
    for (const member of members[name as keyof ServerChannels]) expect(row).toContain(`\`${member}\``)
  }
})
