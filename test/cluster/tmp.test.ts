import { test, onTestFinished } from 'vitest'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { roundRobin } from '../support/round-robin.ts'
import { RedisServer } from '../support/redis.ts'
import { CountingClient } from './counting-client.ts'
import { joinNode } from './nodes.ts'
test('rolling', async () => {
  const redis = await RedisServer.start()
  onTestFinished(() => redis.stop())
  const t0 = performance.now()
  const lines: string[] = []
  const log = (...a: unknown[]) => lines.push(`${Math.round(performance.now() - t0)} ${a.map((x) => typeof x === 'string' ? x : JSON.stringify(x)).join(' ')}`)
  onTestFinished(() => { const slow = all.filter((c) => c.events.length > 1); for (const c of slow.slice(0, 2)) console.log(c.session, c.longestGap, c.socket.diary, lines.filter((l) => l.includes(c.session) || /drain|closed .$/.test(l)).slice(-200).join('\n')) })
  let all: CountingClient[] = []; let i = 0
  const add = async () => {
    const at = i++
    const n = await joinNode(new RedisEngine(settingsOf({ url: redis.url }, 'x')), { recover: true })
    log(at, n.member.name)
    const close = n.member.close.bind(n.member)
    n.member.close = async () => { const t = performance.now(); await close(); console.log('member.close', at, Math.round(performance.now() - t)) }
    const route = n.member.route.bind(n.member)
    n.member.route = async (...a) => { const r = await route(...a); log(at, 'route', a[0], a[2], typeof r === 'object' && 'request' in r ? 'elsewhere' : typeof r === 'object' && 'state' in r ? 'STATE' : JSON.stringify(r).slice(0,80)); return r }
    n.realtime.on('connection', (s) => { s.data.k ??= 0; log(at,'shown',s.id, s.recovered); s.on('message', (d) => s.send(`${d} ${s.data.k++} ${s.id}`)); s.on('close', (c, r) => log(at, 'closed', s.id, c, `${r}`)) })
    return n
  }
  const nodes = [await add(), await add(), await add()]
  const balancer = await roundRobin(nodes.map((n) => n.port))
  all = [1,2,3,4].flatMap(() => (['stream', 'sse', 'polling', 'websocket'] as const).map((w) => new CountingClient(balancer.url, [w], 10)))
  for (const c of all) c.socket.addEventListener('close', (e) => { const id = c.session; log('CLOSED', id, e.code, e.reason) })
  await Promise.all(all.map((c) => c.hears(5)))
  for (let k = 0; k < 3; k++) {
    const old = nodes[k]!
    log('drain', k)
    await old.realtime.drain({ within: 200 })
    log('drained', k)
    const t1 = performance.now()
    await old.realtime.close({ within: 500 })
    console.log('close', k, Math.round(performance.now() - t1))
    log('closed', k)
    const n = await add()
    balancer.targets = balancer.targets.map((t) => t === old.port ? n.port : t)
    await Promise.all(all.map((c) => c.until(() => c.closedAt > 0 || c.echoed.length > 20 * (k + 1))))
  }
  console.log(all.map((c) => [c.events.join(), c.faults.join(), Math.round(c.longestGap)].join(' ')))
}, 25000)
