// What browsers load: a file for a <script> tag and a module for bundlers. esbuild bundles both, terser makes them small.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openClasses } from './open-classes.mjs'
import { root } from './run.mjs'
import { checkShortNames } from './short-names.mjs'
import { faultsOfTags, shortenTags } from './short-tags.mjs'

/**
 * Names of properties that only everwire's own objects have, so that a browser need not load them in full. Not here: what
 * an application, the protocol's JSON or the platform calls by name (`patience`, `got`, `data`, `close` ...). The build fails
 * for such a name (`short-names.mjs`). Nor what classes in other files share with these (`platform`).
 */
const internalNames = `
  abortArrived ackArrived ackDelay acknowledge acknowledged ackStated advance again announced answer answered
  answerPatience arrived ask asked askToken attach badText balked base baseOffset before began beganAt begin begun
  binary buffered bufferedThen busy byte bytes carrier changed channel clean closed closeEvent closePace
  closeDeadline closing complete Connector cut deadline detach dial discard dismissed done doubt due encoded end ending enlist entry
  errorEvent event events expire fail failed failures fares farewell flush forgetFirst frame
  giveBack giveUp goingAway grace handler handleTimeout head heard heardAt held hold hurry id isLoaded judged keep key
  kind lastNumber lateness later learn leave left limits link listen listener longAgain longBytes longSince lost
  makeSession margin measured messageEvent more moved network neverAnswered next nextTimeout normal noStatus
  note number offset ok onlySeen open opened outgoing over overdue owesSince ownClose ownTask ownTasks pace
  gaveWayAt partial passed paused payload peek permit phase pilot pingArrived pingInterval pingOwed place
  policy poll pollControl ponged pongOwed post protocolError proven provenAt queuedBytes queueTime reached
  receive receiveAt received record refused release resend rest resting retryAfter rouse run sent sentBytes sentOffset
  sentThen serial serverError session settle settled shared short silence slot slower soon sound standby
  state stated stop store streaming superseded take taken task tell tested ticket timer tokenCame tokenOwed tooBig took
  transportChanged tryAgainLater
  unknown unsentBytes wait wants wasQuiet watch webSocket weight welcome whole worked
`

/** Classes whose private members become variables (`open-classes.mjs`). */
const openedClasses = `
  Acks BodyReader Connector Direct Fifo HttpCarrier Lane Network Pilot Session WebSocketCarrier
`

/** Tags that no application, platform or server ever sees. The build fails for others. */
const internalTags = `
  aborting opening carried doubted alone over tried used dial no yes asked well badly taken attached older impossible
  free resting slotless asking begun vacant leased recalled quit giveBackSlot askForSlot askForTicket holdOne askOne
`

/**
 * The order of the modules in the file. gzip finds more that is alike in some orders than in others: this is worth sixty bytes.
 * A module that is not named here comes after them. `node scripts/find-order.mjs` looks for a better order.
 */
export const order = `
  shared/text shared/limits client/base/network-memory shared/link shared/carry client/carriers/http shared/bytes
  shared/fifo shared/frame client/base/carrier client/socket/direct client/socket/handlers shared/acks shared/phase
  shared/session client/socket/websocket-class client/pilot/deadlines shared/exchange client/page/page
  client/carriers/websocket client/base/clock client/carriers/http-plan client/pilot/action shared/message
  shared/codes client/pilot/pilot client/carriers/events client/carriers/lane client/pilot/connector
  client/pilot/identity client/pilot/diary client/page/slots
`

/**
 * terser's way to write the same in fewer bytes.
 * @type {import('terser').CompressOptions}
 */
const compress = {
  ecma: 2022,
  passes: 4,
  pure_getters: true,
  // Makes sums of templates: what is not known to be a string or a number is converted before (`asString`).
  unsafe: true,
  unsafe_arrows: true,
  unsafe_methods: true,
  keep_fargs: false,
}

/**
 * Both are made of the same modules with the same short names, so what the tests find of one is true of the other.
 * @param {string} folder where `dist` is made
 */
export async function buildBrowserFiles(folder) {
  const names = words(internalNames)
  checkShortNames(names)
  const faults = faultsOfTags(words(internalTags))
  if (faults.length > 0) throw new Error(`Tags that are not everwire's alone:\n  ${faults.join('\n  ')}`)
  const missing = words(order).filter((name) => !existsSync(join(root, `${name}.ts`)))
  if (missing.length > 0)
    throw new Error(
      `These modules in the order of scripts/browser-file.mjs do not exist: ${missing.join(', ')}`,
    )
  await buildScript(folder)
  await buildModule(folder)
}

/**
 * `dist/everwire.js`, for a <script> tag. It does not name its map, which lies beside it: that would be bytes for everybody.
 * @param {string} folder
 */
async function buildScript(folder) {
  write(`${folder}/everwire.js`, await makeScript(words(order)))
}

/**
 * @param {readonly string[]} modules their order
 */
export async function makeScript(modules) {
  const { code, map } = await bundle('client/script', 'dist/everwire.js', modules, {
    format: 'iife',
    // Private names too, which terser gives one alphabet for all classes.
    minifyIdentifiers: true,
  })
  const { minify } = await import('terser')
  return minify(code, {
    ecma: 2022,
    module: true,
    compress,
    sourceMap: { content: map, filename: 'everwire.js' },
  })
}

/**
 * `dist/client/browser.js`, for bundlers, in place of the one that tsc made: it holds all modules of the client, as only
 * a build that sees all of them can shorten the names of properties. Other names stay, as a bundler shortens these itself.
 * @param {string} folder
 */
async function buildModule(folder) {
  const file = `${folder}/client/browser.js`
  const { code, map } = await bundle('client/browser', file, words(order), { format: 'esm' })
  const { minify } = await import('terser')
  write(
    file,
    await minify(code, {
      ecma: 2022,
      module: true,
      // Functions in functions get long names from esbuild.
      compress: { ...compress, reduce_funcs: false },
      mangle: false,
      format: { beautify: true, indent_level: 2 },
      sourceMap: { content: map, filename: 'browser.js', url: 'browser.js.map' },
    }),
  )
}

/**
 * @param {string} entry
 * @param {string} outfile
 * @param {readonly string[]} modules their order
 * @param {import('esbuild').BuildOptions} options
 */
async function bundle(entry, outfile, modules, options) {
  const esbuild = await import('esbuild')
  const imports = modules.map((name) => `import './${name}.ts'`)
  const { outputFiles } = await esbuild.build({
    ...options,
    absWorkingDir: root,
    stdin: {
      contents: [...imports, `export * from './${entry}.ts'`].join('\n'),
      resolveDir: root,
      sourcefile: 'order.ts',
      loader: 'ts',
    },
    // The package says that no module does anything but export: an import that only says where a module is to be would be nothing.
    ignoreAnnotations: true,
    outfile,
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: true,
    mangleProps: new RegExp(`^(?:${words(internalNames).join('|')})$`),
    write: false,
    logLevel: 'warning',
    plugins: [sources],
  })
  const [map, file] = outputFiles ?? []
  if (!map || !file) throw new Error(`esbuild made no ${outfile}`)
  return { code: file.text, map: map.text }
}

/**
 * @param {string} text a module
 * @returns {import('magic-string').default} the module as browsers get it
 */
export function inBrowsers(text) {
  return openClasses(shortenTags(text, words(internalTags)), words(openedClasses))
}

/**
 * The modules as they are bundled: their classes opened.
 * @type {import('esbuild').Plugin}
 */
const sources = {
  name: 'sources',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      const changed = inBrowsers(text)
      const map = changed.generateMap({ source: basename(path), hires: true })
      map.sourcesContent = [text]
      return {
        contents: `${changed}\n//# sourceMappingURL=${map.toUrl()}`,
        loader: 'ts',
      }
    })
  },
}

/**
 * @param {string} file
 * @param {import('terser').MinifyOutput} made
 */
function write(file, { code, map }) {
  writeFileSync(join(root, file), code ?? '')
  writeFileSync(join(root, `${file}.map`), String(map))
}

/** @param {string} list */
export function words(list) {
  return list.trim().split(/\s+/)
}
