/**
 * `npm run soak -- --sessions 5000 --minutes 120`. Also: --seed, --rate (seconds between two messages of a client), --cuts (seconds
 * between two cuts of a connection), --outages (seconds between two of them), --heartbeat (of the server, in seconds), --life 60-1200 (seconds), --processes, --every
 * (seconds between two lines), --json, --plant drop|double|swap|spoil (a fault of its own, which it must find).
 * With --cluster on three servers: see cluster/settings.ts.
 */
import { visit } from './clients.ts'
import { visitCluster } from './cluster/clients.ts'
import { serveNode } from './cluster/node.ts'
import { ClusterRun, summaryOf as summaryOfCluster } from './cluster/run.ts'
import { readClusterSettings } from './cluster/settings.ts'
import { lineOf, summaryOf } from './report.ts'
import { Run } from './run.ts'
import { serve } from './server.ts'
import { readSettings, type Settings } from './settings.ts'

const [, , first, name, params] = process.argv
if (first === 'part' && name === 'server') serve(JSON.parse(params as string))
else if (first === 'part' && name === 'clients') visit(JSON.parse(params as string))
else if (first === 'part' && name === 'cluster node') serveNode(JSON.parse(params as string))
else if (first === 'part' && name === 'cluster clients') visitCluster(JSON.parse(params as string))
else if (process.argv.includes('--cluster')) await onCluster()
else await main()

async function onCluster(): Promise<void> {
  try {
    const settings = readClusterSettings(process.argv.slice(2))
    const tell = (text: string): void => console.error(text.slice(0, 4000))
    const result = await new ClusterRun(settings, tell).run()
    console.log(settings.json ? JSON.stringify(result, null, 2) : summaryOfCluster(result))
    process.exitCode = result.complaints.length > 0 ? 1 : 0
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}

async function main(): Promise<void> {
  let settings: Settings
  try {
    settings = readSettings(process.argv.slice(2))
  } catch (error) {
    console.error((error as Error).message)
    process.exit(2)
  }
  // With --json what is printed is one object.
  const say = settings.json ? console.error : console.log
  const run = new Run(settings, (text) => say(text.slice(0, 4000)))
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interrupted) process.exit(130)
      interrupted = true
      say('ending: once more to end at once')
      run.interrupt()
    })
  }
  try {
    const result = await run.run((view) => say(lineOf(view)))
    if (settings.json) console.log(JSON.stringify(result, null, 2))
    else console.log(summaryOf(result))
    process.exitCode = result.complaints.length > 0 ? 1 : 0
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
  if (interrupted) process.exitCode = 130
}
