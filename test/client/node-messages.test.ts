// How the socket in Node tells of messages: a sole listener is called by the event itself, and must see what an EventTarget shows.

import { once } from 'node:events'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { serve } from '../support/serving.ts'

async function connected(): Promise<{ client: WebSocket; say: (text: string) => Promise<void> }> {
  const { url, connections } = await serve()
  const client = new WebSocket(url, [], { transports: ['websocket'] })
  const { socket } = await connections.next()
  return {
    client,
    // The answer to a ping comes behind the message.
    async say(text) {
      socket.send(text)
      socket.ping()
      await once(socket, 'pong')
    },
  }
}

function shownBy(event: Event): unknown[] {
  const { target, srcElement, currentTarget, eventPhase, defaultPrevented } = event
  return [target, srcElement, currentTarget, eventPhase, event.composedPath(), defaultPrevented]
}

for (const [name, listen] of [
  ['onmessage', (client, told) => Object.assign(client, { onmessage: told })],
  ['a listener', (client, told) => client.addEventListener('message', told)],
  ['an object', (client, told) => client.addEventListener('message', { handleEvent: told })],
  [
    'two listeners',
    (client, told) => {
      client.addEventListener('message', told)
      client.addEventListener('message', () => {})
    },
  ],
] as [string, (client: WebSocket, told: (event: Event) => void) => unknown][]) {
  test(`${name}: the event shows its socket while it is told, and its target afterwards`, async () => {
    const { client, say } = await connected()
    let meanwhile: unknown[] = []
    let kept: Event | undefined
    listen(client, (event) => {
      meanwhile = shownBy(event)
      kept = event
    })
    await say('hello')
    expect(meanwhile).toEqual([client, client, client, Event.AT_TARGET, [client], false])
    expect(shownBy(kept as Event)).toEqual([client, client, null, Event.NONE, [], false])
    expect(kept).toBeInstanceOf(MessageEvent)
    client.close()
  })
}

test('listeners that come and go, and those of once, each get what is theirs', async () => {
  const { client, say } = await connected()
  const heard: string[] = []
  const note = (name: string) => (event: Event & { data?: unknown }) =>
    void heard.push(`${name} ${event.data}`)
  const [first, second] = [note('first'), note('second')]
  client.addEventListener('message', note('once'), { once: true })
  await say('1')
  await say('2')
  client.addEventListener('message', first)
  await say('3')
  client.onmessage = second
  await say('4')
  client.removeEventListener('message', first)
  await say('5')
  client.onmessage = null
  await say('6')
  expect(heard).toEqual(['once 1', 'first 3', 'first 4', 'second 4', 'second 5'])
  client.close()
})

test('the event may be told again elsewhere, and by its socket', async () => {
  const { client, say } = await connected()
  const other = new EventTarget()
  const targets: unknown[] = []
  other.addEventListener('message', ({ target }) => targets.push(target))
  let kept: Event | undefined
  client.onmessage = (event: Event) => {
    targets.push(event.target)
    kept ??= event
  }
  await say('hello')
  other.dispatchEvent(kept as Event)
  client.dispatchEvent(kept as Event)
  expect(targets).toEqual([client, other, client])
  client.close()
})

test('what a listener throws is an uncaught exception, and the next message is told', async () => {
  const { client, say } = await connected()
  const uncaught: unknown[] = []
  const note = (error: unknown): void => void uncaught.push((error as Error).message)
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', note)
  try {
    client.onmessage = ({ data }) => {
      throw new Error(`onmessage ${data}`)
    }
    await say('1')
    client.onmessage = null
    const later = runInNewContext("async ({ data }) => { throw new Error('later ' + data) }")
    client.addEventListener('message', later)
    await say('1')
    client.removeEventListener('message', later)
    client.on('message', (data) => {
      throw new Error(`on ${data}`)
    })
    await say('2')
    await say('3')
  } finally {
    process.off('uncaughtException', note)
    for (const listener of before) process.on('uncaughtException', listener)
  }
  expect(uncaught).toEqual(['onmessage 1', 'later 1', 'on 2', 'on 3'])
  client.close()
})
