// The programs that some tests need in addition to Node: finds and installs them.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root, run } from './run.mjs'

const names = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'Google Chrome'],
  'firefox-esr': ['firefox-esr', 'firefox'],
  WebKitWebDriver: ['WebKitWebDriver'],
  Xvfb: ['Xvfb'],
  nginx: ['nginx'],
  haproxy: ['haproxy'],
  apache2: ['apache2'],
  caddy: ['caddy'],
  squid: ['squid'],
  'redis-server': ['redis-server'],
}
/** The programs that npm installs: scripts/run.mjs. */
const fromNpm = {
  deno: '@deno/linux-x64-glibc/deno',
  bun: '@oven/bun-linux-x64/bin/bun',
}
/** The programs that are of use only with a library: found by a run that loads it. A Python of another origin may come before Debian's. */
const withLibrary = {
  'python3-websockets': { commands: ['python3', '/usr/bin/python3'], args: ['-c', 'import websockets'] },
}
/** @type {Map<string, string | undefined>} */
const foundWithLibrary = new Map()
/** The packages whose names differ from their programs', here without the service. */
const packages = { apache2: 'apache2-bin', WebKitWebDriver: 'webkit2gtk-driver', Xvfb: 'xvfb' }
/** Folders with such programs that may not be in the PATH. */
const folders = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/Applications/Google Chrome.app/Contents/MacOS',
]

/** @typedef {keyof typeof names | keyof typeof fromNpm | keyof typeof withLibrary} Tool */

/**
 * @param {Tool} tool
 * @returns {string | undefined} the path of the program
 */
export function findTool(tool) {
  if (tool in withLibrary) {
    const known = foundWithLibrary.get(tool)
    if (known) return known
    const { commands, args } = withLibrary[/** @type {keyof typeof withLibrary} */ (tool)]
    const found = commands.find((command) => run(command, args, { quiet: true }).ok)
    foundWithLibrary.set(tool, found)
    return found
  }
  if (tool in fromNpm) {
    const path = join(root, 'test/runtimes/node_modules', fromNpm[/** @type {keyof typeof fromNpm} */ (tool)])
    return isExecutable(path) ? path : undefined
  }
  const places = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...folders]
  return names[/** @type {keyof typeof names} */ (tool)]
    .flatMap((name) => places.map((place) => join(place, name)))
    .find(isExecutable)
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Installs missing programs if no password is needed: with apt-get, as root or by sudo. */
export function installTools() {
  const missing = /** @type {Tool[]} */ ([...Object.keys(names), ...Object.keys(withLibrary)]).filter(
    (tool) => !findTool(tool),
  )
  const wanted = missing.map((tool) =>
    tool in packages ? packages[/** @type {keyof typeof packages} */ (tool)] : tool,
  )
  const output = installPackages(wanted)
  const still = missing.filter((tool) => !findTool(tool))
  if (output !== undefined && still.length > 0)
    console.log(`${output}\ncould not install ${still.join(', ')}`)
}

/**
 * @param {readonly string[]} wanted Debian's names
 * @returns {string | undefined} the output of apt-get; undefined if it did not run
 */
export function installPackages(wanted) {
  if (wanted.length === 0 || !run('apt-get', ['--version'], { quiet: true }).ok) return
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (asRoot.length > 0 && !run('sudo', ['-n', 'true'], { quiet: true }).ok) return

  console.log(`installing ${wanted.join(', ')} with apt-get`)
  // policy-rc.d keeps the packages from starting their services: a test starts its own.
  const script = `
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      trap "rm -f $policy" EXIT
      printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod +x $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    for name in ${wanted.join(' ')}; do apt-get install -qq -y --no-install-recommends $name; done`
  const [command = 'sh', ...args] = [...asRoot, 'sh', '-c', script]
  return run(command, args, { quiet: true }).output
}
