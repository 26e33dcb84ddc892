// What a body of the largest size costs the server at its worst, beside what it costs as one record.
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { ByteWriter } from '../../dist/shared/bytes.js'
import { Ask, writeRecord, writeRequestHead } from '../../dist/shared/exchange.js'
import { maxRecords } from '../../dist/shared/limits.js'
import { Table } from '../tables.mjs'

const size = 1024 * 1024 - 4096
const one = '1 MiB as one record'
const zero = { number: 0, offset: 0 }

/** `count` records of this kind; `known`: of a session that is there. */
const contenders = [
  { row: one, kind: 'binary', count: 1, known: true },
  { row: `1 MiB as ${maxRecords} messages`, kind: 'binary', count: maxRecords, known: true },
  { row: `1 MiB as ${maxRecords} pauses`, kind: 'pause', count: maxRecords, known: true },
  { row: `${maxRecords} empty messages`, kind: 'binary', count: maxRecords, bytes: 0, known: true },
  { row: '1 MiB of empty messages, refused', kind: 'binary', count: size / 2, bytes: 0, known: true },
  { row: `1 MiB as ${maxRecords} messages, of a stranger`, kind: 'binary', count: maxRecords, known: false },
]

export const armour = {
  name: 'armour',
  async run(runner, measure) {
    const columns = { cpu: { title: 'server CPU, µs/body', digits: 0, ratio: true } }
    const table = new Table({ id: 'armour', title: 'the largest bodies', columns, against: one })
    const server = await measure.startServer('everwire', 'sink')
    await runner.interleave(table, contenders, async (contender) => {
      const bodies = runner.amount(100, 30)
      const session = { id: randomBytes(12), key: randomBytes(16), serial: 0, number: 0 }
      if (contender.known) await post(server.port, bodyOf(session, Ask.open))
      const prepared = Array.from({ length: bodies }, () => bodyOf(session, 0, contender))
      const before = await server.call('cpu')
      for (const body of prepared) await post(server.port, body)
      return { cpu: ((await server.call('cpu')) - before) / bodies }
    })
    await server.stop()
    for (const { row } of contenders.slice(1)) table.goal(row, 'cpu', 3)
    return [table]
  },
}

function bodyOf(session, ask, { kind, count = 0, bytes } = {}) {
  const { id, key, number } = session
  const to = new ByteWriter(size + 4096)
  const head = { ask, id, key, epoch: 1, serial: ++session.serial, quiet: 0, life: 0, has: zero }
  writeRequestHead(to, { ...head, at: { number, offset: 0 } })
  const payload = new Uint8Array(bytes ?? Math.floor(size / Math.max(count, 1)) - 4)
  for (let i = 0; i < count; i++) writeRecord(to, kind, payload)
  if (kind === 'binary' && count <= maxRecords) session.number += count
  return to.whole()
}

function post(port, body) {
  return new Promise((resolve, reject) => {
    const path = '/?everwire=1'
    const sent = request(
      { port, path, method: 'POST', headers: { 'Content-Length': body.length } },
      (answer) => answer.resume().on('end', resolve),
    )
    sent.on('error', reject).end(body)
  })
}
