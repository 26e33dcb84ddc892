// examples/cluster as people start it: its clients talk across servers, which are restarted and killed.
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { startProgram } from '../support/program.ts'
import { freePort } from '../support/proxies.ts'
import { needs } from '../support/tools.ts'

interface Word {
  readonly node?: string
  readonly recovered?: boolean
  readonly text?: string
  readonly from?: string
  readonly nodes?: Readonly<Record<string, string>>
}

/** A page without a browser. */
class Guest {
  readonly socket: WebSocket
  readonly words: Word[] = []
  readonly events: string[] = []
  #changed: (() => void)[] = []

  constructor(url: string, transport: Transport) {
    const socket = new WebSocket(`${url}/realtime`, [], { transports: [transport], remember: false })
    this.socket = socket
    socket.addEventListener('message', ({ data }) => {
      this.words.push(JSON.parse(data))
      this.#tell()
    })
    socket.addEventListener('close', ({ code, reason }) => {
      this.events.push(`${code} ${reason}`)
      this.#tell()
    })
    onTestFailed(() => console.log(this.words, this.events))
    onTestFinished(() => socket.terminate())
  }

  /** Resolves when it has heard this, from one of its words on. */
  async hears(is: (word: Word) => boolean, from = 0): Promise<Word> {
    for (;;) {
      const word = this.words.slice(from).find(is)
      if (word) return word
      if (this.events.length > 0) throw new Error(`The session has ended: ${this.events}`)
      await this.#next()
    }
  }

  /** Resolves when it is in the room: it hears what it says itself. */
  async arrives(): Promise<void> {
    await this.hears(({ node }) => node !== undefined)
    this.socket.send('I am here')
    await this.hears(({ text, from }) => text === 'I am here' && from === this.node)
  }

  async ends(): Promise<void> {
    while (this.events.length === 0) await this.#next()
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve))
  }

  #tell(): void {
    for (const go of this.#changed.splice(0)) go()
  }

  /** The server that has its session. */
  get node(): string | undefined {
    return this.words.findLast(({ node }) => node !== undefined)?.node
  }
}

const needed = {
  nginx: ['redis-server', 'nginx'],
  node: ['redis-server'],
} as const

describe.for(['nginx', 'node'] as const)('examples/cluster behind a balancer: %s', (balancer) => {
  needs([...needed[balancer]], 'the example', () => {
    test('people talk across servers, through a restart and the death of one', async () => {
      await ensureBuilt()
      const { url, stop } = await startProgram('examples/cluster/start.mjs', {
        REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
        BALANCER: balancer,
      })
      onTestFinished(stop)
      for (const file of ['/', '/page.js', '/style.css', '/realtime/everwire.js'])
        expect([file, (await fetch(url + file)).status]).toEqual([file, 200])

      const ada = new Guest(url, 'websocket')
      await ada.arrives()
      // The balancer takes the servers in turn.
      let ben = new Guest(url, 'polling')
      await ben.arrives()
      while (ben.node === ada.node) {
        ben = new Guest(url, 'polling')
        await ben.arrives()
      }
      const talk = async (text: string): Promise<void> => {
        ada.socket.send(text)
        await ben.hears((word) => word.text === text)
      }
      await talk('from a server to the other')

      const act = async (node: string | undefined, action: string, headers = { 'X-Example': '1' }) =>
        (await fetch(`${url}/nodes/${node}/${action}`, { method: 'POST', headers })).status
      const old = ben.node
      expect(await act(old, 'restart', {} as never)).toBe(404)
      const before = ben.words.length
      expect(await act(old, 'restart')).toBe(204)
      await ben.hears(({ recovered }) => recovered === true, before)
      expect(ben.node).not.toBe(old)
      await talk('after a restart')
      await ada.hears(({ nodes }) => nodes?.[old as string] === 'up', 1)
      expect(ben.events).toEqual([])

      const killed = ben.node
      const dying = [ada, ben].filter(({ node }) => node === killed)
      expect(await act(killed, 'kill')).toBe(204)
      await Promise.all(dying.map((guest) => guest.ends()))
      for (const guest of [ada, ben])
        expect(guest.events).toEqual(dying.includes(guest) ? ['1006 unknown session'] : [])
      expect(await act(killed, 'start')).toBe(204)
    })
  })
})
