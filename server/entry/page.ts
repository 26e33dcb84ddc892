/** The page for a person who opens the address in a browser. It tells nothing but that everwire is here. */
import type { ServerResponse } from 'node:http'
import { type MountedRequest, markIn, pathOf } from '../base/request.ts'
import { writeHead } from '../base/responses.ts'
import { answerGiven } from '../base/unread.ts'

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>everwire is here</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 38rem; padding: 0 1rem }
:root { color-scheme: light dark }</style>
<h1>everwire is here</h1>
<p>This address is for a WebSocket client, not for a page. To see which transports get through to it, run</p>
<pre><code>npx everwire doctor URL</code></pre>
<p>with the URL of this page.</p>
`

/** Whether a person opens the address of this server: the request wants a page, and the application has none at this path. */
export function isForPage(request: MountedRequest, path = '/', isAlone: boolean): boolean {
  const { method, headers, url = '', originalUrl = '/' } = request
  if (method !== 'GET' || markIn(request) !== undefined) return false
  if (!(headers.accept ?? '').split(',').some((type) => /^\s*text\/html\b/i.test(type))) return false
  if (isAlone) return path === '/' || pathOf(url) === path
  // An application that mounts the middleware at its root has its own page there.
  return pathOf(url) === path && pathOf(originalUrl) !== '/'
}

export function servePage(response: ServerResponse): void {
  const begun = writeHead(response, 200, {
    'Content-Length': Buffer.byteLength(page),
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  if (!begun) return
  response.end(page)
  answerGiven(response, page.length)
}
