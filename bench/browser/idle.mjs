// A page whose connection only stays: how often it wakes up, and for how long. All pages at the same time, in one trace.
import { once } from 'node:events'
import { setTimeout as lasts } from 'node:timers/promises'
import { Table } from '../tables.mjs'
import { native, withPages } from './chromium.mjs'

const minute = 60_000
/** The default of everwire's servers. */
const heartbeat = 15_000
/** Events of a trace in which JavaScript runs. */
const scripts = new Set(['FunctionCall', 'TimerFire', 'EvaluateScript', 'RunMicrotasks', 'EventDispatch'])

export const browserIdle = {
  name: 'browser-idle',
  async run(runner) {
    const time = runner.amount(minute, minute / 6)
    const table = new Table({
      id: 'browser-idle',
      title: `in Chromium: an idle connection, for ${time / 1000} s`,
      note: 'one round; a wake-up is a task in which JavaScript runs',
      columns: {
        wakeups: { title: 'wake-ups a minute', digits: 1 },
        task: { title: 'task, ms a minute', digits: 1 },
      },
      against: native,
    })
    for (const transport of ['websocket', 'stream', 'sse', 'polling'])
      table.goal(`everwire, ${transport}`, 'wakeups', minute / heartbeat, { of: null })
    const prepare = async (page) => {
      await page.open(1)
      await page.echo({ ms: 50, least: 20 })
    }
    await withPages({ table, prepare }, async (ready, pageOf, browser) => {
      // What a client still does after its last message is not of an idle one.
      await lasts(runner.amount(10_000, 1_000))
      const stop = await trace(browser)
      for (const contender of ready) await pageOf(contender).mark(contender.row)
      const before = new Map()
      for (const contender of ready) before.set(contender, await pageOf(contender).metrics())
      await lasts(time)
      const after = new Map()
      for (const contender of ready) after.set(contender, await pageOf(contender).metrics())
      const wakeups = countWakeups(await stop(), ready, time)
      for (const contender of ready) {
        const task = (after.get(contender).TaskDuration - before.get(contender).TaskDuration) * 1000
        const perMinute = minute / time
        table.add(contender.row, { task: task * perMinute, wakeups: wakeups.get(contender.row) * perMinute })
      }
    })
    return [table]
  },
}

async function trace(browser) {
  const session = await browser.target().createCDPSession()
  const events = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value))
  const includedCategories = ['toplevel', 'devtools.timeline', 'blink.user_timing']
  await session.send('Tracing.start', { traceConfig: { includedCategories, excludedCategories: ['*'] } })
  return async () => {
    const complete = once(session, 'Tracing.tracingComplete')
    await session.send('Tracing.end')
    await complete
    return events
  }
}

/** Tasks of the main thread in which JavaScript ran, from half a second after the mark on. */
function countWakeups(events, ready, time) {
  const counts = new Map()
  for (const { row } of ready) {
    const mark = events.find((event) => event.cat.includes('user_timing') && event.name === row)
    const from = mark.ts + 500_000
    const own = events.filter(
      ({ pid, tid, ts, ph }) =>
        pid === mark.pid && tid === mark.tid && ts > from && ts < from + time * 1000 && ph === 'X',
    )
    const tasks = own.filter(({ name }) => name.endsWith('RunTask'))
    const ran = own.filter(({ name }) => scripts.has(name)).map(({ ts }) => ts)
    counts.set(row, tasks.filter(({ ts, dur }) => ran.some((at) => at >= ts && at <= ts + dur)).length)
  }
  return counts
}
