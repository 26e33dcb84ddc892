// The single file for a <script> tag: bundled by esbuild, made small by terser.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.mjs'

/**
 * Names of properties that only everwire's own objects have, so that a browser need not load them in full. Not here: what
 * an application, the protocol's JSON or the platform calls by name (`patience`, `got`, `data`, `close` ...).
 */
const internalNames = `
  abortArrived abortOwed ackArrived ackBytes ackDelay ackMessages ackStated acknowledge acknowledged
  advance again answer answerPatience answered ask asked attach attempts away back badText base
  baseOffset before began beganAt begin binary buffered busy byte bytes callOff carrier channel
  clean closeEvent closed closing complete congested cut detach discard dismissed doubt doubted
  doubtful due encoded ending errorEvent eventSource events exhausted fail failed failures farewell
  flush frame giveBack goingAway grace handleTimeout handler head heard heardAt hold id judged key
  kind lastNumber  leave left limits link listen listener loaded longBytes longSince
  longUntil look lost makeSession margin measured messageEvent more moved network neverAnswered nextTimeout noStatus normal
  number offset ok onlySeen open opened outgoing over ownClose ownTask ownTasks pace partial
  partialSize paused pausing payload peek permit pingArrived pingInterval pingOwed platform policy poll ponged
  pollControl pongOwed post protocolError proven provenAt queueTime reached receive receiveAt
  received record refused release resend rested resting resume resumeAtOnce run sent sentBytes
  sentOffset serial serverError session settle shown silence slot slower soon sound standby
  startSoon store superseded take taken task tell ticket timer tooBig took transportChanged
  tryAgainLater unknown unsentBytes wait wants wasQuiet webSocket welcome whole won worked
`

export async function buildBrowserFile() {
  const [esbuild, { minify }] = await Promise.all([import('esbuild'), import('terser')])
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['client/script.ts'],
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
    mangleProps: new RegExp(`^(?:${internalNames.trim().split(/\s+/).join('|')})$`),
    write: false,
    logLevel: 'warning',
  })
  const [map, file] = outputFiles
  if (!map || !file) throw new Error('esbuild made no file')
  const small = await minify(file.text, {
    ecma: 2022,
    toplevel: true,
    compress: {
      ecma: 2022,
      passes: 4,
      pure_getters: true,
      unsafe_arrows: true,
      unsafe_methods: true,
      keep_fargs: false,
      sequences: false,
    },
    mangle: { toplevel: true },
    // The file does not name its map, which lies beside it: that would be bytes for everybody.
    sourceMap: { content: map.text, filename: 'everwire.js' },
  })
  writeFileSync(join(root, 'dist/everwire.js'), small.code ?? '')
  writeFileSync(join(root, 'dist/everwire.js.map'), String(small.map))
}
