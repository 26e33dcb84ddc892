// Checks the arrows: which file may import which. Type-only imports count too. Run by `npm run check`.
//
//   shared            imports shared only
//   client            imports client and shared
//   client/node.ts, node-reopen.ts and client/node/   and node: and the package's dependencies; nothing else of client imports these files,
//                     so that browsers never load them
//   server            imports server and shared, node: and the package's dependencies
//   ws                imports client and server: one entry of both
//   events            imports nothing: it runs on any WebSocket
//   testing           imports testing and node:
//   cluster           imports cluster, server and shared; server does not know it
//   redis             imports cluster and what it may import, and the optional redis
//   prometheus        imports prometheus, server and the optional prom-client
//   cluster           imports cluster, server and shared, and node:
//   redis             imports redis, cluster, server and shared, and the optional redis
//   doctor            imports doctor, client and shared; doctor/node*.ts and doctor/cli*.ts are as client/node.ts
//   doctor/cli*.ts    and conformance
//   conformance       imports conformance, node: and the package's dependencies: it shares no code with what it examines
//
// Inside server/, client/ and cluster/ the rooms stand on floors: a file imports from its own room and from floors below it.
// The files beside the rooms are the entries: they may import any room, and no room imports them.
//
// Decisions are pure: the files of `pure` import shared, each other, and of client nothing else but types.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { root } from './run.mjs'

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const mayImport = {
  shared: ['shared'],
  client: ['client', 'shared'],
  server: ['server', 'shared'],
  ws: ['ws', 'client', 'server'],
  events: ['events'],
  testing: ['testing'],
  prometheus: ['prometheus', 'server'],
  cluster: ['cluster', 'server', 'shared'],
  redis: ['redis', 'cluster', 'server', 'shared'],
  doctor: ['doctor', 'client', 'shared', 'conformance'],
  conformance: ['conformance'],
}

/** The floors, the highest first; rooms on one floor do not import each other. */
const floors = {
  client: [['node'], ['socket'], ['pilot', 'carriers', 'page'], ['base']],
  server: [
    ['entry'],
    ['status', 'mount', 'ending'],
    ['admission'],
    ['carriers'],
    ['sockets'],
    ['durable'],
    ['messages'],
    ['base'],
  ],
  cluster: [['owners'], ['passing', 'topics'], ['base']],
}

/** What decides for the client. biome.json forbids clocks, timers and randomness in the same files. */
const pure = [
  'client/pilot/pilot.ts',
  'client/pilot/action.ts',
  'client/pilot/deadlines.ts',
  'client/carriers/http-plan.ts',
  'client/base/carrier.ts',
  'client/base/why.ts',
]

/**
 * @param {string} file
 * @param {string} target
 * @returns {string | undefined}
 */
function wrongFloor(file, target) {
  const [area = '', room = '', ...inRoom] = file.split('/')
  const [targetArea, targetRoom = '', ...inTargetRoom] = target.split('/')
  const rooms = floors[/** @type {keyof typeof floors} */ (area)]
  if (!rooms || area !== targetArea || inRoom.length === 0) return undefined
  if (inTargetRoom.length === 0) return `${area}/${room} must not import an entry`
  if (room === targetRoom) return undefined
  /** @param {string} name */
  const floor = (name) => rooms.findIndex((floor) => floor.includes(name))
  for (const name of [room, targetRoom]) if (floor(name) < 0) return `${area}/${name} stands on no floor`
  return floor(targetRoom) > floor(room) ? undefined : `${area}/${room} must not import ${area}/${targetRoom}`
}

/** Folders whose files also run in browsers, except the files for Node. */
const inBrowsers = ['client', 'doctor', 'events']

/** @param {string} file */
const isForNode = (file) => /^(client\/node(-reopen)?(\.ts|\/.*)|doctor\/(node|cli)[^/]*\.ts)$/.test(file)

/**
 * @param {string} file path from the root, with slashes
 * @param {string} wanted the imported module, as written
 * @returns {string | undefined} what is wrong with the import
 */
function fault(file, wanted) {
  const [area = ''] = file.split('/')
  if (wanted.startsWith('.')) {
    const target = posix.join(dirname(file), wanted)
    const [targetArea = ''] = target.split('/')
    if (!mayImport[/** @type {keyof typeof mayImport} */ (area)].includes(targetArea)) {
      return `${area} must not import ${targetArea}`
    }
    if (targetArea === 'conformance' && area !== targetArea && !file.startsWith('doctor/cli'))
      return 'only the command line imports conformance'
    if (isForNode(target) && !isForNode(file) && area !== 'ws') return 'that would bring Node into browsers'
    const wrong = wrongFloor(file, target)
    if (wrong) return wrong
    return wanted.endsWith('.ts') ? undefined : 'a relative import names the file, with .ts'
  }
  if (area === 'shared') return 'shared runs everywhere and imports nothing from outside'
  if (inBrowsers.includes(area) && !isForNode(file))
    return `only the files for Node may import packages or node:`
  if (wanted.startsWith('node:')) return undefined
  if (area === 'testing') return 'testing stands on Node alone'
  const [scopeOrName = '', name] = wanted.split('/')
  const packageName = scopeOrName.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName
  if (area === 'prometheus' && packageName === 'prom-client') return undefined
  if (area === 'redis' && packageName === 'redis') return undefined
  return packageName in dependencies ? undefined : `${packageName} is not among the dependencies`
}

/** @param {string} source */
function imports(source) {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const patterns = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g,
  ]
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''))
}

const faults = []
for (const area of Object.keys(mayImport)) {
  for (const entry of readdirSync(join(root, area), { recursive: true, encoding: 'utf8' })) {
    const file = posix.join(area, entry.replaceAll('\\', '/'))
    if (!file.endsWith('.ts')) continue
    for (const wanted of imports(readFileSync(join(root, file), 'utf8'))) {
      const wrong = fault(file, wanted)
      if (wrong) faults.push(`${file}: import of '${wanted}': ${wrong}`)
    }
  }
}
for (const file of pure) {
  if (!existsSync(join(root, file))) continue
  const code = readFileSync(join(root, file), 'utf8').replace(
    /^import type\b[^'"`;]*?\bfrom\s*['"][^'"]+['"]/gm,
    '',
  )
  for (const wanted of imports(code)) {
    const target = posix.join(dirname(file), wanted)
    if (!target.startsWith('shared/') && !pure.includes(target))
      faults.push(
        `${file}: import of '${wanted}': what decides is pure, and imports only types of what is not`,
      )
  }
}
for (const line of faults) console.error(line)
process.exitCode = faults.length > 0 ? 1 : 0
