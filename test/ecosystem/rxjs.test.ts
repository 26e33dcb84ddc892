import { lastValueFrom, take, toArray } from 'rxjs'
import { webSocket } from 'rxjs/webSocket'
import { expect } from 'vitest'
import { numbers, onEachTransport } from './setting.ts'

const count = 300

onEachTransport('rxjs', async (setting) => {
  setting.serve({ handleProtocols: () => 'counting' }).on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data, { binary: false }))
  })
  const closes: number[] = []
  const subject = webSocket<number>({
    url: setting.url,
    protocol: ['other', 'counting'],
    WebSocketCtor: setting.WebSocket,
    closeObserver: { next: ({ code }) => closes.push(code) },
  })
  const echoes = lastValueFrom(subject.pipe(take(count), toArray()))
  const steps = setting.steps(count, (i) => subject.next(i))
  subject.subscribe(() => steps.ended())
  expect(await echoes).toEqual(numbers(count))
  expect(setting.sockets[0]?.socket.protocol).toBe('counting')
  subject.complete()
  await setting.finished(1005)
  expect(closes).toEqual([1005])
})
