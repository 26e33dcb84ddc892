/** The entry for React Native: its own WebSocket and XMLHttpRequest. Its `fetch` has no streams, and it knows no event streams. */
import './page/native-globals.ts'
import { type Answered, askingHeaders, type Headers, type WithHeaders } from './base/asked-headers.ts'
import type { Answer, NativeSocket, PostInit } from './base/natives.ts'
import type { CloseEventInit, Transport, WebSocketOptions } from './base/types.ts'
import { slotTo } from './page/slots.ts'
import type { Platform } from './socket/platform.ts'
import { WebSocket as Base } from './socket/websocket-class.ts'

export type {
  CarrierEntry,
  CloseEntry,
  CloseEvent,
  DiaryEntry,
  NetworkFinding,
  NetworkSignal,
  RaceDelay,
  Status,
  Transport,
  WebSocketEventMap,
} from './base/types.ts'

/** The options of the constructor in React Native. */
interface NativeWebSocketOptions extends WebSocketOptions, WithHeaders {}

export type { NativeWebSocketOptions as WebSocketOptions }

/** React Native's own, from before an application puts ours in its place. It takes headers. */
const NativeWebSocket = globalThis.WebSocket as unknown as new (
  url: string,
  protocols: string[],
  options: { headers?: Headers },
) => NativeSocket

const possible: readonly Transport[] = ['websocket', 'polling']

function post(url: string, { body, signal }: PostInit, headers: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', url)
    request.responseType = 'arraybuffer'
    request.withCredentials = true
    // Android sends no body without a type.
    for (const [name, value] of Object.entries({ 'Content-Type': 'application/octet-stream', ...headers }))
      request.setRequestHeader(name, value)
    request.onload = () => {
      const { status, statusText, response } = request
      resolve({ status, statusText, arrayBuffer: async () => response as ArrayBuffer })
    }
    request.onerror = () => reject(new Error('network'))
    request.ontimeout = request.onerror
    request.onabort = () => reject(new Error('aborted'))
    signal?.addEventListener('abort', () => request.abort())
    request.send(body)
  })
}

const platform: Platform = {
  ownTasks: true,
  base: () => undefined,
  webSocket(url, protocols, { headers }: Answered<NativeWebSocketOptions>) {
    const socket = new NativeWebSocket(url, protocols, headers ? { headers } : {})
    // React Native's WebSocket has no `bufferedAmount`.
    return Object.assign(socket, { bufferedAmount: 0 })
  },
  listen() {
    throw new Error('Not available in React Native')
  },
  post: (url, init, { headers = {} }: Answered<NativeWebSocketOptions>) => post(url, init, headers),
  task: (run) => void setTimeout(run),
  closeEvent: (init: CloseEventInit) => Object.assign(new Event('close'), init),
  store: () => undefined,
  // An application has few connections to a host, as a browser has.
  slot: (url) => slotTo(url, false),
}

/** The `WebSocket` of React Native, with a session that survives the loss of its connection. */
export class WebSocket extends Base {
  protected static override readonly platform: Platform = platform

  /**
   * Begins to connect. Throws if React Native lacks `crypto.getRandomValues` or a complete `URL`; the message
   * names the package that adds it.
   */
  constructor(
    url: string | URL,
    protocols: string | Iterable<string> | NativeWebSocketOptions = [],
    options: NativeWebSocketOptions = {},
  ) {
    if (!globalThis.crypto?.getRandomValues)
      throw new Error("everwire needs crypto.getRandomValues: import 'react-native-get-random-values' first")
    if (!hasWholeURL())
      throw new Error("React Native's URL is incomplete: import 'react-native-url-polyfill/auto' first")
    if (typeof protocols === 'object' && protocols && !(Symbol.iterator in protocols)) {
      options = protocols
      protocols = []
    }
    const { transports = possible } = options
    super(url, protocols, {
      ...askingHeaders(options),
      transports: transports.filter((name) => name !== 'stream' && name !== 'sse'),
    })
    super.binaryType = 'arraybuffer'
  }

  /** Always 'arraybuffer': React Native makes no Blobs of bytes, and no bytes of Blobs. */
  override get binaryType(): 'blob' | 'arraybuffer' {
    return super.binaryType
  }

  /** React Native makes no Blobs of bytes, and no bytes of Blobs. */
  override set binaryType(type: 'blob' | 'arraybuffer') {
    if (type === 'blob') throw new TypeError("binaryType is always 'arraybuffer' in React Native")
  }

  /** Sends a message. Throws a TypeError for a Blob, and an InvalidStateError before `open`. */
  override send(data: string | ArrayBufferLike | ArrayBufferView): void {
    if (data instanceof Blob) throw new TypeError('Blobs cannot be sent in React Native: send their bytes')
    super.send(data)
  }
}

/** React Native's own URL knows what it was given, and little more. */
function hasWholeURL(): boolean {
  try {
    const url = new URL('ws://host/path')
    url.protocol = 'http:'
    return url.origin === 'http://host'
  } catch {
    return false
  }
}
