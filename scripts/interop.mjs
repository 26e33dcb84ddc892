// `npm run interop`: tests everwire with WebSocket clients and servers in other languages. Installs what is missing with apt-get.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureTestsInstalled, root, run, runGroup, toolScript } from './run.mjs'
import { findTool, installPackages } from './tools.mjs'

const folder = join(root, 'node_modules', '.cache', 'everwire')
const goProgram = join(folder, 'interop-go')
const report = join(folder, 'interop.json')

/** Debian's packages, and for each a check whether it is installed. */
const needed = {
  'python3-websockets': () => python() !== undefined,
  'golang-go': () => run('go', ['version'], { quiet: true }).ok,
  'golang-github-gorilla-websocket-dev': () =>
    existsSync('/usr/share/gocode/src/github.com/gorilla/websocket'),
  curl: () => run('curl', ['--version'], { quiet: true }).ok,
}

const python = () => findTool('python3-websockets')

function missing() {
  return Object.entries(needed).flatMap(([name, isHere]) => (isHere() ? [] : [name]))
}

ensureTestsInstalled()
const said = installPackages(missing())
const still = missing()
if (still.length > 0)
  console.log(`${said ?? ''}\nthere is no ${still.join(', no ')}: what needs it will fail`)

mkdirSync(folder, { recursive: true })
const paths = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: join(folder, 'go') }
const built = run('go', ['build', '-o', goProgram, 'test/interop/peer.go'], { env: paths, quiet: true })
if (!built.ok) console.log(built.output)

rmSync(report, { force: true })
await runGroup(
  toolScript('vitest'),
  ['run', '--project', 'interop', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  { EVERWIRE_INTEROP: '1', INTEROP_PYTHON: python() ?? 'python3', INTEROP_GO: goProgram },
)
/** @type {{ numPassedTests: number, numFailedTests: number, success: boolean }} */
const { numPassedTests, numFailedTests, success } = existsSync(report)
  ? JSON.parse(readFileSync(report, 'utf8'))
  : { numPassedTests: 0, numFailedTests: 1, success: false }
if (!success) process.exitCode = 1
console.log(`${numPassedTests} passed, ${numFailedTests} failed`)
