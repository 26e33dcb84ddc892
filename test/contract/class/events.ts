/** Which events come, in which order, how often, to whom, and what they carry. */
import { type Case, eventually, unspecified } from './harness.ts'

export const events: Case[] = [
  {
    name: 'readyState is 1 in open, 1 in message, 2 after close(), 3 in close',
    async run(t) {
      const states: [string, number][] = []
      const client = t.connect('greet=hello')
      const { socket } = client
      for (const type of ['open', 'message', 'close']) {
        socket.addEventListener(type, () => states.push([type, socket.readyState]))
      }
      t.equal(socket.readyState, 0, 'before')
      await client.next()
      socket.close()
      t.equal(socket.readyState, 2, 'after close()')
      await client.closed()
      t.equal(states, [
        ['open', 1],
        ['message', 1],
        ['close', 3],
      ])
    },
  },
  {
    name: 'one open, the messages, one close, and no error in a life that goes well',
    async run(t) {
      const client = t.connect('count=3&close=1000')
      await client.closed()
      t.equal(client.log, ['open', 'message', 'message', 'message', 'close'])
    },
  },
  {
    name: 'nothing comes after close, whatever the server still sent',
    async run(t) {
      const client = t.connect('on=message&count=50&close=4001')
      await client.opened()
      client.socket.send('go')
      await client.closed()
      t.equal(client.log.at(-1), 'close', 'last')
      t.equal(client.messages.length, 50, 'messages')
      await eventually(() => client.socket.readyState === 3)
      t.equal(
        client.log.filter((type) => type !== 'message'),
        ['open', 'close'],
      )
    },
  },
  {
    name: 'events are of the standard classes, at the socket, not bubbling, not cancelable',
    async run(t) {
      const client = t.connect('greet=hello')
      const seen: [string, boolean, boolean, boolean][] = []
      for (const type of ['open', 'message', 'close']) {
        client.socket.addEventListener(type, (event) =>
          seen.push([
            event.type,
            event.target === client.socket,
            event.bubbles ?? false,
            event.cancelable ?? false,
          ]),
        )
      }
      client.socket.addEventListener('message', (event) => {
        t.equal(
          event instanceof MessageEvent,
          t.expected(true, { ws: { value: false, why: 'ws: events of its own classes' } }),
          'MessageEvent',
        )
      })
      await client.next()
      await client.end()
      t.equal(seen, [
        ['open', true, false, false],
        ['message', true, false, false],
        ['close', true, false, false],
      ])
    },
  },
  {
    name: 'the origin of a message is the one of the URL, with ws:',
    async run(t) {
      const client = t.connect('on=message&greet=hello')
      const origins: unknown[] = []
      client.socket.addEventListener('message', (event) => origins.push(event.origin))
      await client.opened()
      client.socket.send('go')
      await client.next()
      const { host } = new URL(t.subject.url)
      t.equal(origins, [
        t.expected<unknown>(`ws://${host}`, { ws: { value: undefined, why: 'ws: messages without origin' } }),
      ])
    },
  },
  {
    name: 'on… holds one handler: set, replaced in its place, taken away by null or by what is no function',
    async run(t) {
      const client = t.connect()
      const { socket } = client
      const log: string[] = []
      socket.onmessage = () => log.push('first handler')
      socket.addEventListener('message', () => log.push('listener'))
      const second = function (this: unknown): void {
        log.push(this === socket ? 'second handler' : 'another this')
      }
      socket.onmessage = second
      t.equal(socket.onmessage === second, true, 'what was set')
      await client.opened()
      socket.send('1')
      await client.next()
      socket.onmessage = null
      t.equal(socket.onmessage, null, 'after null')
      socket.send('2')
      await client.next()
      socket.onmessage = second
      socket.onmessage = 'nothing that can be called' as never
      t.equal(socket.onmessage, null, 'after a string')
      const order = t.expected(['second handler', 'listener', 'listener'], {
        ws: {
          value: ['listener', 'second handler', 'listener'],
          why: 'ws: a handler that is replaced goes behind the listeners',
        },
      })
      t.equal(log, order)
    },
  },
  {
    name: 'on… keeps an object that cannot be called, and does not call it; false cancels what can be cancelled',
    run(t) {
      if (t.subject.kind === 'ws') return
      const { socket } = t.connect()
      const object = {}
      for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'] as const) {
        socket[name] = object as never
        t.equal(socket[name] === object, true, name)
        for (const nothing of [null, undefined, 5, 'text']) {
          socket[name] = () => {}
          socket[name] = nothing as never
          t.equal(socket[name], null, `${name} = ${nothing}`)
        }
      }
      const dispatched = (answer: unknown): boolean => {
        socket.onopen = () => answer
        return socket.dispatchEvent(new Event('open', { cancelable: true }))
      }
      t.equal([dispatched(false), dispatched(undefined), dispatched(0)], [false, true, true], 'not cancelled')
    },
  },
  {
    name: 'an open socket that nobody holds is not lost: its listeners are called',
    async run(t) {
      const { gc } = globalThis as { gc?: () => void }
      if (!gc)
        t.differences.push('an engine that collects only when it wants to: nothing is collected on purpose')
      const url = t.address('')
      const said: unknown[] = []
      let closed: Promise<void> | undefined
      await new Promise<void>((opened) => {
        closed = new Promise((resolve) => {
          const socket = t.construct(url)
          socket.onopen = () => opened()
          socket.onmessage = ({ data }) => said.push(data)
          socket.onclose = () => resolve()
        })
      })
      // In turns of their own, where nothing is on the stack that could refer to it.
      for (let i = 0; i < 5; i++) {
        await new Promise((done) => setTimeout(done))
        gc?.()
      }
      await t.ask(url, 'say')
      await closed
      t.equal(said, ['still there?'])
    },
  },
  {
    name: 'every on… is called',
    async run(t) {
      const log: string[] = []
      const watch = (socket: WebSocket): void => {
        socket.onopen = ({ type }) => log.push(type)
        socket.onmessage = ({ type }) => log.push(type)
        socket.onerror = ({ type }) => log.push(type)
        socket.onclose = ({ type }) => log.push(type)
      }
      const client = t.connect('greet=hello&close=1000')
      watch(client.socket)
      await client.closed()
      const refused = t.connect('refuse')
      watch(refused.socket)
      await refused.closed()
      t.equal(log, ['open', 'message', 'close', 'error', 'close'])
    },
  },
  {
    name: 'listeners: the same one once, objects with handleEvent, once, removed ones not',
    async run(t) {
      const client = t.connect('count=2')
      const { socket } = client
      const log: string[] = []
      const twice = (): void => void log.push('twice')
      const removed = (): void => void log.push('removed')
      socket.addEventListener('message', twice)
      socket.addEventListener('message', twice)
      socket.addEventListener('message', { handleEvent: () => void log.push('object') })
      socket.addEventListener('message', () => log.push('once'), { once: true })
      socket.addEventListener('message', removed)
      socket.removeEventListener('message', removed)
      await client.count(2)
      t.equal(log, ['twice', 'object', 'once', 'twice', 'object'])
    },
  },
  {
    name: 'a listener added in open misses nothing of what the server sent in its connection handler',
    async run(t) {
      for (let round = 0; round < 5; round++) {
        const client = t.connect('greet=first&count=3')
        const late: unknown[] = []
        client.socket.addEventListener('open', () => {
          client.socket.addEventListener('message', ({ data }) => late.push(data))
        })
        await client.count(4)
        t.equal(late, ['first', '0', '1', '2'])
      }
    },
  },
  {
    name: 'microtasks run between two messages',
    async run(t) {
      const client = t.connect('on=message&count=40')
      const log: string[] = []
      client.socket.addEventListener('message', ({ data }) => {
        log.push(`message ${data}`)
        void Promise.resolve()
          .then(() => {})
          .then(() => log.push(`microtask ${data}`))
      })
      await client.opened()
      client.socket.send('go')
      await client.count(40)
      await Promise.resolve().then(() => {})
      await Promise.resolve()
      const expected = Array.from({ length: 40 }, (_, i) => [`message ${i}`, `microtask ${i}`]).flat()
      t.equal(
        log,
        t.expected<unknown>(expected, {
          ws: {
            value: unspecified,
            why: 'ws: hands out the messages of one packet without a pause between them',
          },
        }),
      )
    },
  },
  {
    name: 'a server that is not there: error, then close 1006, not clean, and never open',
    async run(t) {
      const client = t.open(t.subject.deadUrl)
      const states: number[] = []
      client.socket.addEventListener('error', () => states.push(client.socket.readyState))
      client.socket.addEventListener('close', () => states.push(client.socket.readyState))
      const { code, wasClean } = await client.closed()
      t.equal([code, wasClean], [1006, false])
      t.equal(client.log, ['error', 'close'])
      t.equal(
        states,
        t.expected([3, 3], { ws: { value: [2, 3], why: 'ws: still CLOSING in error' } }),
        'readyState',
      )
    },
  },
  {
    name: 'refused by verifyClient: error, then close 1006, not clean, and the application never saw it',
    async run(t) {
      const client = t.connect('refuse')
      const { code, wasClean } = await client.closed()
      t.equal([code, wasClean], [1006, false])
      t.equal(client.log, ['error', 'close'])
      const { connections } = await client.report('now')
      t.equal(connections, 0, 'connections')
    },
  },
  {
    name: 'the subprotocol that the server chose is there in open, and on the server',
    async run(t) {
      for (const [query, protocol] of [
        ['echo', 'one'],
        ['choose=two&echo', 'two'],
        ['choose=three&echo', 'three'],
      ] as const) {
        const client = t.connect(query, ['one', 'two', 'three'])
        const inOpen: string[] = []
        client.socket.addEventListener('open', () => inOpen.push(client.socket.protocol))
        await client.opened()
        t.equal([...inOpen, client.socket.protocol], [protocol, protocol], query)
        await client.end()
        t.equal(client.socket.protocol, protocol, 'after the end')
        t.equal((await client.report()).protocol, protocol, 'on the server')
      }
    },
  },
  {
    name: 'subprotocols offered and none chosen: error, then close 1006, and never open',
    async run(t) {
      const client = t.connect('choose=none&greet=hello', ['one', 'two'])
      const { code, wasClean } = await client.closed()
      t.equal([code, wasClean], [1006, false])
      t.equal(client.log, ['error', 'close'])
      t.equal(client.socket.protocol, '', 'protocol')
    },
  },
  {
    name: 'two sockets of one page have nothing to do with each other',
    async run(t) {
      const [one, two] = [t.connect('greet=one&echo'), t.connect('greet=two&echo')]
      t.equal([await one.next(), await two.next()], ['one', 'two'])
      one.socket.close(4001)
      await one.closed()
      two.socket.send('still here')
      t.equal(await two.next(), 'still here')
    },
  },
]
