// What a page of the benchmark loads from the contestant's own server: the page, the driver and the contestants' clients as modules, and
// each library's file for browsers.
import { readFileSync } from 'node:fs'
import { library } from '../whole/contestants/index.mjs'

const prefix = '/bench/'
const here = new URL('../', import.meta.url)
const types = { html: 'text/html', mjs: 'text/javascript', js: 'text/javascript' }

export function pageFiles(request, response) {
  if (!request.url.startsWith(prefix)) return
  const path = new URL(request.url, 'http://localhost').pathname.slice(prefix.length)
  const file = fileOf(path)
  // An isolated page has a finer clock.
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
  response.setHeader('Content-Type', types[path.split('.').at(-1)] ?? 'text/plain')
  response.statusCode = file ? 200 : 404
  response.end(file)
}

function fileOf(path) {
  if (path.startsWith('library/')) {
    const { script } = library(path.slice('library/'.length, -'.js'.length)).page
    return readFileSync(new URL(script.startsWith('dist/') ? `../${script}` : `node_modules/${script}`, here))
  }
  const known = /^(browser\/page\.(html|mjs)|whole\/driver\.mjs|whole\/contestants\/[a-z.]+\.mjs)$/
  return known.test(path) ? readFileSync(new URL(path, here)) : undefined
}
