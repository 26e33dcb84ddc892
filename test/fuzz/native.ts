/** A runtime in memory: what the client asks of it is kept, and answered as chance wants it. */
import type { Answer, NativeEventSource, PostInit } from '../../client/base/natives.ts'
import { readEvents } from '../../client/carriers/events.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { FakeSocket } from '../client/fakes.ts'
import { readRequest, type SaidRequest } from './reading.ts'
import type { World } from './world.ts'

const unreachable = new TypeError('Failed to fetch')

interface Chunk {
  readonly value?: Uint8Array | string | undefined
}

/** A request that waits for its answer, or for more of it. */
export class Post {
  readonly said: SaidRequest
  readonly init: PostInit
  state: 'waits' | 'begun' | 'over' = 'waits'
  readonly #settle: (answer: Answer) => void
  readonly #fail: (error: Error) => void
  readonly #chunks: Chunk[] = []
  #wanted: { resolve(chunk: Chunk): void; reject(error: Error): void } | undefined
  #fault: Error | undefined

  constructor(init: PostInit, settle: (answer: Answer) => void, fail: (error: Error) => void) {
    this.init = init
    this.said = readRequest(init.body)
    this.#settle = settle
    this.#fail = fail
    init.signal?.addEventListener('abort', () => this.fail())
  }

  refuse(status: number): void {
    this.state = 'over'
    this.#settle({ status, statusText: 'No', body: null })
  }

  /** All of it at once, as where there are no streams. */
  answerWhole(bytes: Uint8Array): void {
    this.state = 'over'
    const pieces = [Uint8Array.from(bytes)]
    const read = (): Promise<Chunk> => Promise.resolve({ value: pieces.pop() })
    this.#settle({ status: 200, statusText: 'OK', body: { getReader: () => ({ read }) } })
  }

  begin(): void {
    this.state = 'begun'
    const read = (): Promise<Chunk> =>
      new Promise((resolve, reject) => {
        const chunk = this.#chunks.shift()
        if (chunk) resolve(chunk)
        else if (this.#fault) reject(this.#fault)
        else this.#wanted = { resolve, reject }
      })
    this.#settle({ status: 200, statusText: 'OK', body: { getReader: () => ({ read }) } })
  }

  give(value: Uint8Array | undefined): void {
    if (value === undefined) this.state = 'over'
    const wanted = this.#wanted
    this.#wanted = undefined
    if (wanted) wanted.resolve({ value })
    else this.#chunks.push({ value })
  }

  /** As when the network goes away, or nobody wants it any more. */
  fail(): void {
    if (this.state === 'over') return
    this.state = 'over'
    this.#fault = unreachable
    this.#fail(unreachable)
    this.#wanted?.reject(unreachable)
  }
}

export class Events implements NativeEventSource {
  onmessage: NativeEventSource['onmessage'] = null
  onerror: NativeEventSource['onerror'] = null
  closed = false
  head = false

  close(): void {
    this.closed = true
  }
}

export class Runtime {
  readonly posts: Post[] = []
  readonly sources: Events[] = []
  readonly sockets: FakeSocket[] = []
  readonly platform: Platform
  /** How much was asked in all. */
  asked = 0
  /** Nothing gets through any more. */
  dead = false

  constructor({ random }: World) {
    this.platform = {
      ownTasks: random.chance(50),
      base: () => undefined,
      webSocket: (url, protocols) => {
        this.asked++
        if (this.dead || random.chance(2)) throw new Error('not allowed')
        const socket = new FakeSocket(url, protocols)
        this.sockets.push(socket)
        return socket
      },
      listen: (_url, signal) => {
        this.asked++
        const source = new Events()
        if (this.dead) setImmediate(() => source.onerror?.())
        else this.sources.push(source)
        return readEvents(source, signal)
      },
      post: (_url, init) => {
        this.asked++
        return new Promise((resolve, reject) => {
          const post = new Post(init, resolve, reject)
          if (this.dead || init.signal?.aborted) post.fail()
          else this.posts.push(post)
        })
      },
      task: (run) => void setImmediate(run),
      closeEvent: (init) => Object.assign(new Event('close'), init),
      store: () => undefined,
    }
  }
}
