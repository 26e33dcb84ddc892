// A person who opens the address in a browser reads what it is for. Everybody else gets what they got before.
import { createServer } from 'node:http'
import express from 'express'
import { expect, test } from 'vitest'
import { WebSocketServer } from '../../server/index.ts'
import { fetchAll, listen } from '../support/http.ts'
import { marked } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'

const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

test('on a server of its own, and below a mount', async () => {
  const { url } = await serve()
  const app = express()
  app.use('/realtime', new WebSocketServer({ noServer: true }).middleware)
  const port = await listen(createServer(app))
  for (const at of [url, `http://127.0.0.1:${port}/realtime`]) {
    const { status, headers, body } = await fetchAll(at, { headers: html })
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(body.toString()).toContain('everwire is here')
    expect(body.toString()).toContain('npx everwire doctor URL')
    // Neither the version nor anything of the options.
    expect(body.toString()).not.toMatch(/\d+\.\d+\.\d+/)
  }
})

test('the pages of an application stay its own', async () => {
  const app = express()
  app.use(new WebSocketServer({ noServer: true }).middleware)
  app.get('/', (_request, response) => void response.send('home'))
  const port = await listen(createServer(app))
  expect((await fetchAll(`http://127.0.0.1:${port}/`, { headers: html })).body.toString()).toBe('home')
})

test('other requests are answered as before', async () => {
  const { url } = await serve()
  const { url: guarded } = await serve({ hosts: ['app.example.com'] })
  expect((await fetchAll(url)).status).toBe(426)
  expect((await fetchAll(url, { headers: { Accept: '*/*' } })).status).toBe(426)
  expect((await fetchAll(url, { method: 'POST', headers: html })).status).toBe(426)
  expect((await fetchAll(marked(url), { headers: html })).status).toBe(405)
  expect((await fetchAll(marked(url, 'unknown'), { headers: html })).status).toBe(404)
  expect((await fetchAll(guarded, { headers: html })).status).toBe(403)
})
