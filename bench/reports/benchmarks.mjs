// docs/BENCHMARKS.md: every table, and first of all which goals are met and which are missed.
import { reachedIn } from '../tables.mjs'
import { capital, fullTable } from './markdown.mjs'

const chapters = [
  {
    title: 'Whole systems in Node',
    scenarios: ['echo', 'broadcast', 'connect', 'idle', 'first', 'secure'],
    text: `Each server runs with its own client, as an application uses them: the server in one process, all clients in another. CPU is what each process reports (\`process.cpuUsage\`), of all its threads,
divided by the messages. "Together" is the sum of both. An echo is sent by the client, answered by the server, and checked by the client: it must be the very message that is due. When an
echo arrives, the client sends the next. The clients of Engine.IO and Socket.IO have an agent that keeps connections, as browsers do; without it they would make a connection for each request.
Connecting is measured after 2,400 connections, when V8 has compiled what it needs. The first 1,500 connections of a process cost more: everwire's server took 2.87 × \`ws\` for them.`,
  },
  {
    title: 'In Chromium',
    scenarios: ['browser-echo', 'browser-idle', 'browser-heap', 'size'],
    text: `A page has one connection to the contestant's server. "Task" is all that the page's main thread does, "script" its JavaScript alone (\`Performance.getMetrics\`). Each contestant loads the file that it ships for
browsers. "Native" is the browser's own WebSocket before a server of \`ws\`.`,
  },
  {
    title: 'Growth',
    scenarios: ['growth-busy', 'growth-topics', 'growth-delay'],
    text: `![What a message costs beside idle sessions, what a session takes of the memory, what a publication costs among many topics, and how late the event loop is](pictures/growth.svg)

How costs grow with sessions that only stay, and with topics; and how late a server's event loop is at half load (a timer of 1 ms asks).`,
  },
  {
    title: 'In a cluster',
    scenarios: ['passed'],
    text: `Two servers with a real Redis. A session is opened at one server, its owner. Then its requests reach either the owner, or the other server, which passes them on.`,
  },
  {
    title: 'Servers alone, before load clients',
    scenarios: ['alone-echo', 'alone-polling', 'alone-publish', 'alone-idle', 'armour'],
    text: `Here the clients are not those of the libraries: they are written for this benchmark and cost next to nothing, so that one server can be compared with another. They write all messages that are due at the same time
in one piece, which suits a server that joins its answers. An application sees the tables above.`,
  },
]

export function benchmarksPage(tables, goals) {
  const newest = [...tables.values()]
    .map(({ run }) => run)
    .sort((a, b) => (a.date < b.date ? -1 : 1))
    .at(-1)
  const { machine } = newest
  const versions = Object.entries(machine.versions).map((pair) => pair.join(' '))
  const list = (met) => {
    const lines = goals.filter((goal) => goal.met === met).map(goalLine)
    if (lines.length === 0) return 'None.'
    return ['| what is measured | row | figure | reached | goal |', '|---|---|---|---:|---:|', ...lines].join(
      '\n',
    )
  }
  const body = chapters.map(({ title, text, scenarios }) => {
    const own = [...tables.values()].filter(({ scenario }) => scenarios.includes(scenario))
    return own.length === 0 ? '' : `## ${title}\n\n${text}\n\n${own.map(withDate(newest)).join('\n')}`
  })
  return `# Benchmarks

\`npm run bench\` measures everwire beside \`ws\`, Engine.IO, Socket.IO and SockJS, all in one run, in rounds in which they take turns. It keeps the raw numbers in \`bench/results\`, and
\`npm run bench -- --report\` writes this page from them.

Measured on ${newest.date.slice(0, 10)}: ${machine.cpu}, ${machine.system}, Node ${machine.node.slice(1)}, loopback. ${versions.join(', ')}.

Absolute figures are those of this machine. Ratios of one table can be compared, because all its rows were measured in the same minutes. Smaller is better, except for messages in a second.

| option | what it does |
|---|---|
| \`--only echo,growth\` | runs these scenarios, or groups of them: \`node\`, \`browser\`, \`growth\`, \`alone\`, \`cluster\` |
| \`--rounds 9\` | so many rounds; without it 5 |
| \`--quick\` | one short round, to see that everything works |
| \`--save\` | keeps the raw numbers also of a run with \`--only\` or \`--quick\` |
| \`--report\` | measures nothing, and writes the reports from the newest raw numbers of each table |
| \`--profile DIRECTORY\` | writes CPU profiles of all processes |
| \`--json\` | prints the raw numbers |

## Goals that everwire misses

${list(false)}

## Goals that it reaches

${list(true)}

${body.filter(Boolean).join('\n')}`
}

function goalLine({ table, row, column, of, value, limit }) {
  const figure = table.columns[column].title
  return `| ${capital(table.title)} | ${row} | ${figure} | ${reachedIn(of, value)} | ${+limit.toFixed(2)} |`
}

function withDate(newest) {
  return (table) => {
    const { date } = table.run
    const text = fullTable(table)
    return date === newest.date ? text : text.replace('\n\n', `\n\nMeasured on ${date.slice(0, 10)}. `)
  }
}
