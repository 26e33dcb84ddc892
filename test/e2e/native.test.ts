// The client in React Native's conditions, as far as they can be had without a device: its WebSocket and its XMLHttpRequest with
// their quirks, a fetch without streams, and of the globals of browsers only those that every version has.
import { randomFillSync } from 'node:crypto'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bundleWithMetro } from '../../scripts/bundlers.mjs'
import { Conversation, type Told, wholeConversation } from '../support/conversation.ts'
import { NativeSocketOfTests, NativeXMLHttpRequest } from '../support/native.ts'
import { makeProject } from '../support/project.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Bundle {
  readonly WebSocket: new (url: string, protocols?: string[], options?: object) => WebSocket
  converse(url: string, options: object): Promise<Told>
}

/** The same application, by the bundler that React Native has, and by esbuild with React Native's condition. */
const application = `import { WebSocket } from 'everwire'
import { converse } from './converse.mjs'
globalThis.bundle = { WebSocket, converse: (url, options) => converse(WebSocket, url, options) }
`
const made: Record<'Metro' | 'esbuild', string> = { Metro: '', esbuild: '' }
let code: string
let conversation: Conversation
let project: string

beforeAll(async () => {
  project = await makeProject()
  cpSync(join(root, 'test/support/converse.mjs'), join(project, 'converse.mjs'))
  made.Metro = await bundleWithMetro(application, project)
  const { outputFiles } = await build({
    stdin: { contents: application, resolveDir: project },
    bundle: true,
    conditions: ['react-native'],
    write: false,
    format: 'iife',
    target: 'es2022',
  })
  code = made.esbuild = outputFiles[0]?.text ?? ''
})

afterAll(() => rmSync(project, { recursive: true }))

beforeEach(async () => {
  conversation = await Conversation.begin()
})

afterEach(() => conversation.end())

/** A runtime of its own. `also`: what newer versions have, or the application brings. */
function runtime(also: object = {}): Bundle {
  class Blob {
    get size(): number {
      throw new Error('Blob has been closed and is no longer available')
    }
  }
  const context = createContext({
    setTimeout,
    clearTimeout,
    queueMicrotask,
    AbortController,
    Blob,
    performance: { now: () => performance.now() },
    navigator: { product: 'ReactNative' },
    WebSocket: NativeSocketOfTests,
    XMLHttpRequest: NativeXMLHttpRequest,
    fetch: () =>
      Promise.reject(new Error('Nobody is to use this: it has no streams, and on Android no bytes')),
    URL,
    crypto: { getRandomValues: (bytes: Uint8Array) => randomFillSync(bytes) },
    // The same bytes on both sides.
    Uint8Array,
    ArrayBuffer,
    ...also,
  })
  runInContext(code, context)
  return (context as { bundle: Bundle }).bundle
}

const told = async (answer: Promise<Told>): Promise<Told> => JSON.parse(JSON.stringify(await answer))

describe.each([
  ['Metro', 'the least that there is', {}],
  ['esbuild', 'the least that there is', {}],
  [
    'esbuild',
    'what newer versions have',
    { Event, EventTarget, MessageEvent, DOMException, TextEncoder, TextDecoder, btoa },
  ],
] as const)('bundled by %s, with %s', (bundler, _name, also) => {
  beforeAll(() => {
    code = made[bundler]
  })

  test.each(['websocket', 'polling'] as const)(
    'a conversation over %s, cut in the middle',
    async (transport) => {
      const headers = { Authorization: 'Bearer me' }
      const answer = runtime(also).converse(conversation.url, { transports: [transport], headers })
      expect(await told(answer)).toEqual(Conversation.over(transport))
      expect(conversation.headers).toMatchObject([{ authorization: 'Bearer me' }])
      expect(conversation.ends).toEqual(['4321 bÿe'])
    },
  )

  test('where WebSockets are refused it polls, and tries nothing that cannot be', async () => {
    conversation.network.set({ upgrade: 403 })
    const { events, transports, tried } = await told(runtime(also).converse(conversation.url, {}))
    expect(events).toEqual(wholeConversation)
    expect(transports).toEqual(['polling'])
    expect(tried.sort()).toEqual(['polling', 'websocket'])
  })
})

test('many messages of all sizes and scripts cross each other, over polling', async () => {
  const { WebSocket } = runtime()
  const socket = new WebSocket(conversation.url, [], { transports: ['polling'] })
  const sent = Array.from({ length: 60 }, (_, i) => `${i} ${'aλ語🚀\ud800'.repeat((i * 137) % 3000)}`)
  const got: string[] = []
  await new Promise<void>((resolve) => {
    socket.onopen = () => {
      for (const text of sent) socket.send(text)
    }
    socket.onmessage = ({ data }) => {
      if (got.push(data as string) === sent.length) socket.close(1000)
    }
    socket.onclose = () => resolve()
  })
  const whole = sent.map((text) => text.replaceAll('\ud800', '\ufffd'))
  expect(got.map((text, i) => text === whole[i])).toEqual(whole.map(() => true))
})

test('knows no Blobs: it says so, and goes on', async () => {
  const Blob = class {}
  const { WebSocket } = runtime({ Blob })
  const socket = new WebSocket(conversation.url)
  expect(socket.binaryType).toBe('arraybuffer')
  expect(() => Object.assign(socket, { binaryType: 'blob' })).toThrow('arraybuffer')
  const answer = await new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data)
    socket.onopen = () => {
      expect(() => socket.send(new Blob() as globalThis.Blob)).toThrow('send their bytes')
      socket.send('text')
    }
  })
  expect(answer).toBe('text')
  const closed = new Promise((resolve) => {
    socket.onclose = resolve
  })
  socket.close()
  await closed
})

test('says what an application has to bring', () => {
  const open = (also: object) => {
    const { WebSocket } = runtime(also)
    return () => new WebSocket(conversation.url)
  }
  class OwnURL {
    readonly href: string
    constructor(url: string) {
      this.href = `${url}/`
    }
    get origin(): string {
      throw new Error('URL.origin is not implemented')
    }
  }
  expect(open({ crypto: undefined })).toThrow('react-native-get-random-values')
  expect(open({ URL: OwnURL })).toThrow('react-native-url-polyfill')
})
