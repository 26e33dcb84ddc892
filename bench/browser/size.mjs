// What a page loads.
import { gzipSync } from 'node:zlib'
import { browserFile } from '../peers.mjs'
import { Table } from '../tables.mjs'

const contenders = [
  { row: 'everwire', path: 'dist/everwire.js' },
  { row: 'engine.io-client', path: 'dist/engine.io.min.js' },
  { row: 'socket.io-client', path: 'dist/socket.io.min.js' },
  { row: 'sockjs-client', path: 'dist/sockjs.min.js' },
]

export const size = {
  name: 'size',
  async run(runner) {
    const columns = {
      gzip: { title: 'bytes, gzip -9', digits: 0, ratio: true },
      minified: { title: 'minified', digits: 0 },
    }
    const table = new Table({ id: 'size', title: 'the browser client', columns, against: 'everwire' })
    await runner.interleave(table, contenders, async ({ row, path }) => {
      const bytes = browserFile(row, path)
      return { gzip: gzipSync(bytes, { level: 9 }).length, minified: bytes.length }
    })
    for (const of of ['socket.io-client', 'sockjs-client'])
      table.goal('everwire', 'gzip', 1, { of, exact: true })
    return [table]
  },
}
