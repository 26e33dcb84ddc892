// What a page loads.
import { gzipSync } from 'node:zlib'
import { browserFile } from '../peers.mjs'
import { Table } from '../report.mjs'

const contenders = [
  { row: 'everwire', path: 'dist/everwire.js' },
  { row: 'engine.io-client', path: 'dist/engine.io.min.js' },
  { row: 'socket.io-client', path: 'dist/socket.io.min.js' },
  { row: 'sockjs-client', path: 'dist/sockjs.min.js' },
]

export const size = {
  name: 'size',
  async run(measure) {
    const columns = {
      gzip: { title: 'bytes, gzip -9', digits: 0 },
      minified: { title: 'minified', digits: 0 },
    }
    const table = new Table('the browser client', columns, 'everwire')
    await measure.rounds(table, contenders, 1, async ({ row, path }) => {
      const bytes = browserFile(row, path)
      return { gzip: gzipSync(bytes, { level: 9 }).length, minified: bytes.length }
    })
    for (const of of ['socket.io-client', 'sockjs-client'])
      table.bar('everwire', 'gzip', 1, { of, exact: true })
    return [table]
  },
}
