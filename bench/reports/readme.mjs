// The tables of the README's section "Measured".
import { ratioTable } from './markdown.mjs'

const webSocketLines = [
  { label: 'CPU of the server per 64-byte echo, 16 in flight', table: 'echo-64-16', column: 'server' },
  { label: 'CPU of both ends', table: 'echo-64-16', column: 'together' },
  { label: 'the same, 4 KiB: server', table: 'echo-4096-16', column: 'server' },
  { label: '… both ends', table: 'echo-4096-16', column: 'together' },
  { label: '64 bytes, one in flight: both ends', table: 'echo-64-1', column: 'together' },
  { label: '… time there and back, p50', table: 'echo-64-1', column: 'p50' },
  { label: '… p99', table: 'echo-64-1', column: 'p99' },
  {
    label: 'CPU of the server per delivery, one broadcast to 1,000 clients',
    table: 'broadcast-1',
    column: 'server',
  },
  { label: '… eight broadcasts in a turn', table: 'broadcast-8', column: 'server' },
  { label: 'CPU of the server per connection made', table: 'connect', column: 'server' },
  { label: 'heap of the server per idle connection', table: 'idle-few', column: 'heap' },
  { label: 'time to the first message, round trip 50 ms', table: 'first', column: 'time' },
]

const fallbackLines = [
  { label: 'CPU of both ends per 64-byte echo, 16 in flight', table: 'echo-64-16', column: 'together' },
  { label: 'the same, 4 KiB', table: 'echo-4096-16', column: 'together' },
  { label: '64 bytes, one in flight', table: 'echo-64-1', column: 'together' },
  { label: '… time there and back, p50', table: 'echo-64-1', column: 'p50' },
  {
    label: 'CPU of the server per delivery, one broadcast to 1,000 clients',
    table: 'broadcast-1',
    column: 'server',
  },
  { label: 'CPU of the server per connection made', table: 'connect', column: 'server' },
  { label: 'heap of the server per idle session', table: 'idle-few', column: 'heap' },
]

const browserLines = [
  { label: 'main thread per 64-byte echo, 16 in flight', table: 'browser-echo-16', column: 'task' },
  { label: 'the same, one in flight', table: 'browser-echo-1', column: 'task' },
  { label: 'heap of a connection', table: 'browser-heap', column: 'heap' },
]

const aloneLines = [
  { label: 'CPU of the server per 64-byte echo, 16 in flight', table: 'alone-echo-64-16', column: 'cpu' },
  { label: 'the same, one in flight', table: 'alone-echo-64-1', column: 'cpu' },
  { label: 'the same, 4 KiB, 16 in flight', table: 'alone-echo-4096-16', column: 'cpu' },
  { label: 'heap of an idle session', table: 'alone-idle-ws', column: 'heap' },
]

const alonePollLines = [
  {
    label: 'CPU of the server per long-polling echo, 16 in flight',
    table: 'alone-polling-bare-16',
    column: 'cpu',
  },
  { label: 'the same, one in flight', table: 'alone-polling-bare-1', column: 'cpu' },
  { label: 'heap of an idle long-poll', table: 'alone-idle-engine.io', column: 'heap' },
]

const parts = [
  {
    text: '**Whole systems**: each server with its own client, each end in a process of its own, as an application uses them. `ws` does less: it has no session, so nothing survives a lost connection.',
    corner: 'over WebSocket',
    lines: webSocketLines,
    of: 'ws',
    columns: [
      ['everwire', 'everwire'],
      ['ws', 'ws'],
      ['Engine.IO', 'engine.io'],
      ['Socket.IO', 'socket.io'],
    ],
  },
  {
    corner: 'over HTTP',
    lines: fallbackLines,
    of: 'engine.io, polling',
    columns: [
      ['everwire, stream', 'everwire, stream'],
      ['… sse', 'everwire, sse'],
      ['… polling', 'everwire, polling'],
      ['Engine.IO, polling', 'engine.io, polling'],
      ['SockJS, streaming', 'sockjs, xhr-streaming'],
    ],
  },
  {
    text: '**In Chromium**: each library with the file that it ships for browsers.',
    corner: 'over WebSocket',
    lines: browserLines,
    of: 'native',
    columns: [
      ['everwire', 'everwire, websocket'],
      ['native', 'native'],
      ['Socket.IO', 'socket.io, websocket'],
      ['SockJS', 'sockjs, websocket'],
    ],
  },
  {
    corner: 'over HTTP',
    lines: browserLines,
    of: 'socket.io, polling',
    columns: [
      ['everwire, stream', 'everwire, stream'],
      ['… sse', 'everwire, sse'],
      ['… polling', 'everwire, polling'],
      ['Socket.IO, polling', 'socket.io, polling'],
      ['SockJS, streaming', 'sockjs, xhr-streaming'],
      ['… polling', 'sockjs, xhr-polling'],
    ],
  },
  {
    text: `**Servers alone**: before load clients that cost next to nothing. They write all messages that are due at the same time in one piece, and so does everwire's server with its answers. So these ratios show what the
joining of writes saves under the best conditions; a client that sends one message at a time sees less of it.`,
    corner: 'over WebSocket',
    lines: aloneLines,
    of: 'ws',
    columns: [
      ['everwire', 'everwire, session'],
      ['ws', 'ws'],
      ['Socket.IO', 'socket.io'],
      ['SockJS', 'sockjs'],
    ],
  },
  {
    corner: 'over long-polling',
    lines: alonePollLines,
    of: 'engine.io',
    columns: [
      ['everwire', 'everwire'],
      ['Engine.IO', 'engine.io'],
    ],
  },
]

export function readmeSection(tables, { goals, machine }) {
  const node = `Node ${machine.node.slice(1).split('.')[0]}`
  const met = goals.filter(({ met: reached }) => reached).length
  const intro = `${machine.cpu}, ${node}, loopback. All numbers are ratios of medians; smaller is better. everwire reaches ${met} of the ${goals.length} goals of [the page with all figures](docs/BENCHMARKS.md).`
  const shown = parts.flatMap(({ text, corner, lines, columns, of }) => {
    const table = ratioTable(tables, corner, lines, columns, of)
    return table ? [text, table] : []
  })
  return [intro, ...shown.filter(Boolean)].join('\n\n')
}
