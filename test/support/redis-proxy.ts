// A connection to Redis that can be cut at a command: before Redis has got it, or before the answer comes back.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

interface Plan {
  readonly words: readonly string[]
  readonly when: 'command' | 'answer'
  readonly done: () => void
}

export class RedisProxy {
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  #plan: Plan | undefined
  #hold: { readonly word: string; held(release: () => void): void } | undefined

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((socket) => this.#connected(socket))
  }

  static async start(target: number): Promise<RedisProxy> {
    const proxy = new RedisProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Cuts all connections when one of these words is in a command: then it does not arrive, or its answer does not. */
  cutAt(words: readonly string[], when: 'command' | 'answer'): Promise<void> {
    return new Promise((done) => {
      this.#plan = { words, when, done }
    })
  }

  /** Holds a command with this word back. Resolves with what lets it go on. */
  holdAt(word: string): Promise<() => void> {
    return new Promise((held) => {
      this.#hold = { word, held }
    })
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.cut()
    if (this.#server.listening) await once(this.#server, 'close')
  }

  #connected(client: Socket): void {
    const redis = connect(this.#target, '127.0.0.1')
    let isAsked = false
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (chunk) => {
      const hold = this.#hold
      if (hold && chunk.includes(hold.word)) {
        this.#hold = undefined
        hold.held(() => redis.write(chunk))
        return
      }
      const plan = this.#plan
      const isMeant = plan?.words.some((word) => chunk.includes(word)) === true
      if (plan?.when === 'command' && isMeant) this.#cutFor(plan)
      else {
        isAsked ||= isMeant
        redis.write(chunk)
      }
    })
    redis.on('data', (chunk) => {
      if (isAsked && this.#plan) this.#cutFor(this.#plan)
      else client.write(chunk)
    })
  }

  #cutFor(plan: Plan): void {
    this.#plan = undefined
    this.cut()
    plan.done()
  }
}
