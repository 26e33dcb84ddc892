// A server that does one thing wrong: the rule of that name says so, and what it says is true.
import { describe, expect, test } from 'vitest'
import { conformance } from '../../conformance/cli.ts'
import type { WebSocketServer } from '../../server/index.ts'
import { withBug } from '../support/plant.ts'
import { echo } from './echo.ts'
import { deviations } from './planted.ts'

describe.concurrent('the suite finds a server that', () => {
  test.for(deviations)('$name', async (deviation, { onTestFinished }) => {
    const copy = await withBug<{ WebSocketServer: typeof WebSocketServer }>('server/index.ts', deviation)
    const url = new URL(await echo(onTestFinished, {}, copy.WebSocketServer))
    const report = await conformance({ url, only: deviation.rule, timeout: 2000 })
    const failed = report.rules.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
    expect(failed).toEqual([deviation.rule])
  })
})
