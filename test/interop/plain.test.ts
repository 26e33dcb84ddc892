// Ordinary clients and servers that are always here: those of `ws`, and Chromium's own WebSocket. Others: `npm run interop`.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { WebSocket as Everwire } from '../../client/node.ts'
import { plain } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { launchChromium, needs } from '../support/tools.ts'
import { plainServer } from './plain-server.ts'
import { type Close, type Connection, type Happening, ordinaryClient } from './room.ts'

describe('the client of ws', () => {
  ordinaryClient(async (url, protocols): Promise<Connection> => {
    const socket = await plain(url, protocols)
    const happenings = new Queue<Happening>()
    socket.on('message', (data, isBinary) => happenings.push(isBinary ? (data as Buffer) : String(data)))
    socket.on('pong', (data) => happenings.push({ pong: String(data) }))
    return {
      protocol: socket.protocol,
      happenings,
      closed: new Promise((resolve) => {
        socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }))
      }),
      send: (data) => socket.send(data),
      ping: (data) => socket.ping(data),
      close: (code, reason) => socket.close(code, reason),
    }
  })
})

describe('a server of ws', () => {
  plainServer(async (protocols) => {
    const options = protocols.length > 0 ? { handleProtocols: () => protocols[0] as string } : {}
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
    const closed = new Queue<Close>()
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => {
        if (String(data) === 'close me') socket.close(4009, 'as asked')
        else if (String(data) === 'drop me') socket.terminate()
        else socket.send(data, { binary: isBinary })
      })
      socket.on('close', (code, reason) => closed.push({ code, reason: String(reason) }))
    })
    onTestFinished(() => {
      for (const client of server.clients) client.terminate()
      server.close()
    })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return { url: `ws://127.0.0.1:${port}/`, closed: () => closed.next() }
  })
})

test("our client without a session has the rest of ws's face, too", async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = new Everwire(`ws://127.0.0.1:${port}/`, { session: false })
  const [peer] = (await once(server, 'connection')) as [import('ws').WebSocket]
  await once(socket, 'open')
  const pinged = once(socket, 'ping')
  peer.ping('from the server')
  expect(String((await pinged)[0])).toBe('from the server')
  const ponged = once(socket, 'pong')
  socket.ping('from the client')
  expect(String((await ponged)[0])).toBe('from the client')
  const heard = once(peer, 'message')
  expect(await new Promise((resolve) => socket.send('text', resolve))).toBe(undefined)
  expect(String((await heard)[0])).toBe('text')
  socket.pause()
  expect(socket.isPaused).toBe(true)
  socket.resume()
  const lost = once(peer, 'close')
  socket.terminate()
  expect((await lost)[0]).toBe(1006)
})

needs('chromium', "Chromium's own WebSocket", () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  ordinaryClient(async (url, protocols): Promise<Connection> => {
    const page = await browser.newPage()
    onTestFinished(() => page.close())
    const happenings = new Queue<Happening>()
    const opened = new Queue<string>()
    const closed = new Queue<Close>()
    await page.exposeFunction('tellOpened', (protocol: string) => opened.push(protocol))
    await page.exposeFunction('tellText', (text: string) => happenings.push(text))
    await page.exposeFunction('tellBinary', (base64: string) =>
      happenings.push(Buffer.from(base64, 'base64')),
    )
    await page.exposeFunction('tellClosed', (close: Close) => closed.push(close))
    const socket = await page.evaluateHandle(
      ([address, offered]) => {
        const { tellOpened, tellText, tellBinary, tellClosed } = globalThis as unknown as Record<
          string,
          (about: unknown) => void
        >
        const made = new WebSocket(address, [...offered])
        made.binaryType = 'arraybuffer'
        made.onopen = () => tellOpened?.(made.protocol)
        made.onmessage = ({ data }) => {
          if (typeof data === 'string') return tellText?.(data)
          let latin = ''
          for (const byte of new Uint8Array(data)) latin += String.fromCharCode(byte)
          tellBinary?.(btoa(latin))
        }
        made.onclose = ({ code, reason }) => tellClosed?.({ code, reason })
        return made
      },
      [url, protocols] as const,
    )
    return {
      protocol: await opened.next(),
      happenings,
      closed: closed.next(),
      send: (data) =>
        void socket.evaluate(
          (made, [kind, text]) =>
            made.send(kind === 'text' ? text : Uint8Array.from(atob(text), (one) => one.charCodeAt(0))),
          typeof data === 'string'
            ? (['text', data] as const)
            : (['binary', data.toString('base64')] as const),
        ),
      close: (code, reason) =>
        void socket.evaluate((made, [number, why]) => made.close(number, why), [code, reason] as const),
    }
  }, false)
})
