// The single file for a <script> tag: bundled by esbuild, made small by terser.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.mjs'

/**
 * Names of properties that only everwire's own objects have, so that a browser need not load them in full. Not here: what
 * an application, the protocol's JSON or the platform calls by name (`patience`, `got`, `data`, `close` ...).
 */
const internalNames = `
  abortArrived abortOwed ackArrived ackBytes ackDelay ackMessages ackStated acknowledge acknowledged advance again
  answer answerPatience answered ask asked attach attempt attempts away back badText base baseOffset before began
  beganAt begin begun binary buffered busy byte bytes callOff carrier channel clean closeEvent closePace closed
  closing complete congested cut detach discard dismissed doubt doubted doubtful due encoded ending enlist entry errorEvent
  eventSource events exhausted fail failed failures farewell flush forgetFirst frame giveBack goingAway grace
  handleTimeout handler head heard heardAt hold id judged key kind lastNumber leave left limits link listen listener
  loaded longBytes longSince longUntil look lost makeSession margin measured messageEvent more moved network
  neverAnswered nextTimeout noStatus normal number offset ok onlySeen open opened outgoing over overdue ownClose
  ownTask ownTasks pace partial partialSize paused pausing payload peek permit pingArrived pingInterval pingOwed
  platform policy poll pollControl pongOwed ponged post protocolError proven provenAt queueTime queuedBytes reached
  receive receiveAt received record refused release resend rested resting resume resumeAtOnce rouse run seek sent
  sentBytes sentOffset serial serverError session settle shared shown silence slot slower soon sound standby startSoon
  stop store streaming superseded take taken task tell ticket timer tooBig took transportChanged tryAgainLater unknown
  unsentBytes wait wants wasQuiet webSocket welcome whole won worked
`

/** What the client calls or sets on objects of the platform: none of it may be shortened. */
const nativeNames = `
  abort aborted addEventListener binaryType bufferedAmount cancel close connection data dispatchEvent enqueue error
  getItem getRandomValues getReader hidden locks onabort onclose onerror onLine onmessage onopen persisted port1 port2
  postMessage protocol read readyState removeEventListener removeItem request send setItem signal status statusText
  terminate transferSize value visibilityState
`

/**
 * The order of the modules in the file. gzip finds what is alike only within 32 KiB, so this order is worth a hundred bytes
 * or two. A module that is not named here comes after them. It was found by trying:
 * a module at another place, kept where the file became smaller.
 */
const order = `
  shared/limits shared/link shared/fifo shared/text client/carriers/events shared/bytes shared/session
  shared/exchange client/pilot/diary client/pilot/identity client/pilot/connector client/base/clock shared/codes
  client/base/carrier client/carriers/lane client/carriers/http client/carriers/websocket client/pilot/vigil
  client/pilot/race shared/control client/socket/handlers client/base/network-memory client/socket/direct
  shared/message client/socket/websocket-class client/page/slots client/page/page
`

export async function buildBrowserFile() {
  const wrong = words(internalNames).filter((name) => words(nativeNames).includes(name))
  if (wrong.length > 0) throw new Error(`These names are the platform's, and cannot be shortened: ${wrong}`)
  const [esbuild, { minify }] = await Promise.all([import('esbuild'), import('terser')])
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    stdin: {
      contents: [...words(order), 'client/script'].map((name) => `import './${name}.ts'`).join('\n'),
      resolveDir: root,
      sourcefile: 'order.ts',
      loader: 'ts',
    },
    // The package says that no module does anything but export: an import that only says where a module is to be would be nothing.
    ignoreAnnotations: true,
    outfile: 'everwire.js',
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    minifySyntax: true,
    // Private names too, which terser gives one alphabet for all classes.
    minifyIdentifiers: true,
    sourcemap: true,
    sourcesContent: true,
    mangleProps: new RegExp(`^(?:${words(internalNames).join('|')})$`),
    write: false,
    logLevel: 'warning',
  })
  const [map, file] = outputFiles
  if (!map || !file) throw new Error('esbuild made no file')
  const small = await minify(file.text, {
    ecma: 2022,
    module: true,
    compress: {
      ecma: 2022,
      passes: 4,
      pure_getters: true,
      // Makes sums of templates: what is not known to be a string or a number is converted before (`asString`).
      unsafe: true,
      unsafe_arrows: true,
      unsafe_methods: true,
      keep_fargs: false,
      sequences: false,
    },
    // The file does not name its map, which lies beside it: that would be bytes for everybody.
    sourceMap: { content: map.text, filename: 'everwire.js' },
  })
  writeFileSync(join(root, 'dist/everwire.js'), small.code ?? '')
  writeFileSync(join(root, 'dist/everwire.js.map'), String(small.map))
}

/** @param {string} list */
function words(list) {
  return list.trim().split(/\s+/)
}
