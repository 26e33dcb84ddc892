// Clients and servers in other languages, and curl: `npm run interop`, which brings them and says where they are.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { serve } from '../support/serving.ts'
import { connectWith, type Program, serveWith } from './bridge.ts'
import { plainServer } from './plain-server.ts'
import { ordinaryClient } from './room.ts'

const { INTEROP_PYTHON = 'python3', INTEROP_GO = 'interop-go' } = process.env

const programs: Readonly<Record<string, Program>> = {
  "Python's websockets": { command: INTEROP_PYTHON, args: ['test/interop/peer.py'] },
  "Go's gorilla/websocket": { command: INTEROP_GO, args: [] },
}

describe.each(Object.entries(programs))('%s', (_name, program) => {
  describe('as a client', () => ordinaryClient((url, protocols) => connectWith(program, url, protocols)))
  describe('as a server', () => plainServer((protocols) => serveWith(program, protocols)))
})

test('curl: the handshake, and what is said after it', async () => {
  const { url, connections } = await serve()
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  const given = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const curl = spawn('curl', ['--silent', '--include', '--no-buffer', '--http1.1', ...given, url])
  const ended = once(curl, 'close')
  onTestFinished(() => void curl.kill())
  const { socket } = await connections.next()
  socket.send('hello curl')
  socket.close(4001, 'bye')
  let printed = ''
  for await (const chunk of curl.stdout) {
    printed += (chunk as Buffer).toString('latin1')
    if (printed.includes('bye')) break
  }
  expect(printed).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
  // The answer to the key, as RFC 6455 has it in 1.3; then a text frame, and a close frame with 4001.
  expect(printed).toMatch(/^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/im)
  expect(printed.endsWith('\r\n\r\n\x81\x0ahello curl\x88\x05\x0f\xa1bye')).toBe(true)
  curl.kill()
  await ended
})
