/** The constructor, the constants and what an instance says of itself. */
import { baseOf, type Case } from './harness.ts'

const constants = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const
const names = Object.keys(constants) as (keyof typeof constants)[]

/** Of the classes of `ws`: no DOMException, and its own view of what a URL is. */
const ownErrors = 'ws: throws its own errors, no DOMException'

export const construction: Case[] = [
  {
    name: 'constants stand on the class, the prototype and the instance, and cannot be changed',
    async run(t) {
      const { socket } = t.connect()
      for (const name of names) {
        for (const owner of [t.WebSocket, t.WebSocket.prototype, socket])
          t.equal(owner[name], constants[name], name)
        for (const owner of [baseOf(t.WebSocket, name), baseOf(t.WebSocket.prototype, name)]) {
          const { value, enumerable, writable, configurable } =
            Object.getOwnPropertyDescriptor(owner, name) ?? {}
          t.equal(
            { value, enumerable, writable, configurable },
            { value: constants[name], enumerable: true, writable: false, configurable: false },
            `descriptor of ${name}`,
          )
        }
      }
    },
  },
  {
    name: 'a socket is an EventTarget and says that it is a WebSocket',
    run(t) {
      const { socket } = t.connect()
      t.equal(
        socket instanceof EventTarget,
        t.expected(true, { ws: { value: false, why: 'ws: an EventEmitter with addEventListener' } }),
        'EventTarget',
      )
      t.equal(
        String(socket),
        t.expected('[object WebSocket]', { ws: { value: '[object Object]', why: 'ws: no toStringTag' } }),
        'toString',
      )
      t.equal(t.WebSocket.name, 'WebSocket', 'name')
      t.equal(socket instanceof t.WebSocket, true, 'instanceof')
    },
  },
  {
    name: 'a new socket is CONNECTING, without protocol, extensions and buffered bytes, and gives Blobs',
    run(t) {
      const socket = t.construct(`${t.subject.url}?echo`)
      t.equal(socket.readyState, 0, 'readyState')
      t.equal(socket.protocol, '', 'protocol')
      t.equal(socket.extensions, '', 'extensions')
      t.equal(socket.bufferedAmount, 0, 'bufferedAmount')
      t.equal(
        socket.binaryType,
        t.expected<string>('blob', {
          ws: { value: 'nodebuffer', why: 'ws: binaryType begins as nodebuffer' },
        }),
        'binaryType',
      )
      for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'] as const)
        t.equal(socket[name], null, name)
      socket.onerror = () => {}
      socket.close()
    },
  },
  {
    name: 'binaryType takes its two values and ignores all others',
    run(t) {
      const { socket } = t.connect()
      for (const type of ['blob', 'arraybuffer'] as const) {
        socket.binaryType = type
        t.equal(socket.binaryType, type)
        socket.binaryType = 'text' as never
        t.equal(socket.binaryType, type, 'after a wrong one')
      }
    },
  },
  {
    name: 'without new, or without an argument, it throws TypeError',
    run(t) {
      const Class = t.WebSocket as unknown as { (url: string): unknown; new (): WebSocket }
      t.throws(() => Class(t.subject.url), 'TypeError', 'without new')
      t.throws(
        () => new Class(),
        t.expected('TypeError', { ws: { value: 'SyntaxError', why: ownErrors } }),
        'nothing',
      )
    },
  },
  {
    name: 'what is no URL, has another scheme or a fragment throws SyntaxError',
    run(t) {
      for (const url of [
        'http://[::',
        'ws://',
        'ws://host:port/',
        'ws://a host/',
        'ftp://127.0.0.1/',
        'mailto:someone@example.com',
        'about:blank',
        `${t.subject.url}#part`,
        `${t.subject.url}#`,
      ]) {
        const { ws, native } = {
          native: { value: 'nothing', why: 'Chromium: escapes a space in a host where the standard fails' },
          ws: { value: 'nothing', why: 'ws: takes a URL that ends in an empty fragment' },
        }
        const others = url.endsWith('#') ? { ws } : url.includes('a host') ? { native } : {}
        const expected = t.expected('SyntaxError', others)
        t.throws(() => new t.WebSocket(url), expected, url)
      }
    },
  },
  {
    name: 'url is the URL parsed and written: ws for http, lower case, a path, no dots, percent signs',
    run(t) {
      const { host } = new URL(t.subject.url)
      for (const [given, expected] of [
        [`ws://${host}`, `ws://${host}/`],
        [`WS://${host}/a/../b?q=ü`, `ws://${host}/b?q=%C3%BC`],
        [`http://${host}/x y`, `ws://${host}/x%20y`],
        [`https://${host}/`, `wss://${host}/`],
        [`ws://user:word@${host}/`, `ws://user:word@${host}/`],
      ] as const) {
        const socket = t.construct(given)
        socket.onerror = () => {}
        t.equal(socket.url, expected, given)
        socket.close()
      }
    },
  },
  {
    name: 'the URL may be a URL object or anything with toString',
    async run(t) {
      const url = `${t.subject.url}?echo`
      // WebIDL asks for `toString` before `valueOf`.
      const text = { toString: () => url, valueOf: () => 'none' } as unknown as string
      for (const given of [new URL(url), text] as const) {
        const socket = t.construct(given as string)
        t.equal(socket.url, url, 'url')
        socket.onerror = () => {}
        socket.close()
      }
    },
  },
  {
    name: 'a relative URL is relative to the page, and nothing where there is no page',
    run(t) {
      const { base } = t.subject
      if (base === undefined) {
        t.throws(() => new t.WebSocket('/realtime?echo'), 'SyntaxError', 'relative')
        return
      }
      for (const url of ['/realtime?echo', 'realtime?echo', '//elsewhere.invalid/']) {
        const socket = t.construct(url)
        socket.onerror = () => {}
        t.equal(socket.url, new URL(url, base).href.replace('http', 'ws'), url)
        socket.close()
      }
    },
  },
  {
    name: 'subprotocols that are no tokens or are given twice throw SyntaxError',
    run(t) {
      const { url } = t.subject
      for (const protocols of [
        '',
        'with space',
        'a,b',
        'a/b',
        'a:b',
        '(a)',
        '"a"',
        'ä',
        'a\n',
        '\u007f',
        ['a', 'b', 'a'],
        ['a', ''],
      ]) {
        t.throws(() => new t.WebSocket(url, protocols), 'SyntaxError', JSON.stringify(protocols))
      }
      t.throws(
        () => new t.WebSocket(url, ['chat', 'CHAT']),
        t.expected('SyntaxError', {
          ws: { value: 'nothing', why: 'ws: two subprotocols that differ in case are two' },
          native: { value: 'nothing', why: 'Chromium: two subprotocols that differ in case are two' },
        }),
        'differ in case',
      )
    },
  },
  {
    name: 'every character of a token may stand in a subprotocol',
    async run(t) {
      const all = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
      const client = t.connect('echo', [all])
      await client.opened()
      t.equal(client.socket.protocol, all)
    },
  },
  {
    name: 'subprotocols may be a string, an array or undefined',
    async run(t) {
      for (const [given, offered] of [
        ['one', 'one'],
        [['one', 'two'], 'one,two'],
        [[], ''],
        [undefined, ''],
      ] as [string | string[] | undefined, string][]) {
        const client = t.connect('echo', given)
        await client.opened()
        await client.end()
        const report = await client.report()
        t.equal(report.offered.replaceAll(' ', ''), offered, 'offered')
      }
    },
  },
  {
    name: 'the server is not told from which page a socket comes, but for the origin',
    async run(t) {
      const client = t.connect()
      await client.opened()
      t.equal((await client.report('now')).referrer, '')
    },
  },
  {
    name: 'extensions stays empty, as the server negotiates none',
    async run(t) {
      const client = t.connect()
      await client.opened()
      t.equal(client.socket.extensions, '')
    },
  },
]
