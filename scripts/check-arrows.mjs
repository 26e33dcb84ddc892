// Holds the arrows: who may import whom. Type-only imports count too. Run by `npm run check`.
//
//   shared            imports shared only
//   client            imports client and shared
//   client/node*.ts   and node: and the package's dependencies; nothing else of client imports these files,
//                     so that a browser never gets what they bring
//   server            imports server and shared, node: and the package's dependencies
//   ws                imports client and server: one entry of both
//   testing           imports testing and node:
//   doctor            imports doctor, client and shared; doctor/node*.ts and doctor/cli*.ts are as client/node*.ts
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { root } from './run.mjs'

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const mayImport = {
  shared: ['shared'],
  client: ['client', 'shared'],
  server: ['server', 'shared'],
  ws: ['ws', 'client', 'server'],
  testing: ['testing'],
  doctor: ['doctor', 'client', 'shared'],
}

/** What also runs in browsers, but for the files that are for Node. */
const inBrowsers = ['client', 'doctor']

/** @param {string} file */
const isForNode = (file) => /^(client\/node|doctor\/(node|cli))[^/]*\.ts$/.test(file)

/**
 * @param {string} file path from the root, with slashes
 * @param {string} wanted the module it imports, as written
 * @returns {string | undefined} what is wrong with that
 */
function fault(file, wanted) {
  const [area = ''] = file.split('/')
  if (wanted.startsWith('.')) {
    const target = posix.join(dirname(file), wanted)
    const [targetArea = ''] = target.split('/')
    if (!mayImport[/** @type {keyof typeof mayImport} */ (area)].includes(targetArea)) {
      return `${area} must not import ${targetArea}`
    }
    if (isForNode(target) && !isForNode(file) && area !== 'ws') return 'that would bring Node into browsers'
    return wanted.endsWith('.ts') ? undefined : 'a relative import names the file, with .ts'
  }
  if (area === 'shared') return 'shared runs everywhere and imports nothing from outside'
  if (inBrowsers.includes(area) && !isForNode(file))
    return `only ${area}/node*.ts may import packages or node:`
  if (wanted.startsWith('node:')) return undefined
  if (area === 'testing') return 'testing stands on Node alone'
  const [scopeOrName = '', name] = wanted.split('/')
  const packageName = scopeOrName.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName
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
for (const line of faults) console.error(line)
process.exitCode = faults.length > 0 ? 1 : 0
