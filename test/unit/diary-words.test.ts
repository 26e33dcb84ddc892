// `formatDiary`: the entries of both diaries in words.
import { expect, test } from 'vitest'
import type { DiaryEntry } from '../../client/node.ts'
import { formatDiary } from '../../doctor/browser.ts'
import type { ServerDiaryEntry } from '../../server/index.ts'

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const time = '2026-01-02T03:04:05.678Z'

const ofClient: [DiaryEntry, string][] = [
  [
    {
      type: 'carrier',
      at,
      transport: 'websocket',
      epoch: 1,
      purpose: 'open',
      ended: 31,
      by: 'network',
      why: 'refused',
    },
    'carrier 1, websocket, to open the session: ended after 31 ms by the network or a proxy: refused',
  ],
  [
    { type: 'carrier', at, transport: 'stream', epoch: 2, purpose: 'resume', proven: 58, sound: 214 },
    'carrier 2, stream, to resume the session: answered after 58 ms, sound after 214 ms, in use or being tried',
  ],
  [
    {
      type: 'carrier',
      at,
      transport: 'polling',
      epoch: 3,
      purpose: 'doubt',
      proven: 5,
      ended: 61_234,
      by: 'client',
      why: '',
    },
    'carrier 3, polling, beside one in doubt: answered after 5 ms, ended after 61.2 s by the client',
  ],
  [
    { type: 'carrier', at, transport: 'sse', epoch: 4, purpose: 'better' },
    'carrier 4, sse, as a better transport: in use or being tried',
  ],
  [{ type: 'sign', at, sign: 'unanswered' }, 'a reason to look: an answer is overdue'],
  [{ type: 'sign', at, sign: 'network' }, 'a reason to look: the network has changed'],
  [
    { type: 'lesson', at, about: 'rest', transport: 'websocket', value: 1000 },
    'learnt: websocket is left alone for 1 s',
  ],
  [{ type: 'lesson', at, about: 'rest', transport: 'sse', value: 0 }, 'learnt: sse may be tried at once'],
  [{ type: 'lesson', at, about: 'quiet', value: 4000 }, 'learnt: a silence of 4 s is not cut here'],
  [{ type: 'lesson', at, about: 'life', value: 25_000 }, 'learnt: a streamed answer of 25 s is not cut here'],
  [
    { type: 'lesson', at, about: 'piece', value: 65_536 },
    'learnt: a request with a body of 65536 bytes is not refused here',
  ],
  [{ type: 'close', at, code: 4000, reason: 'enough' }, 'the session is over: code 4000, "enough"'],
  [{ type: 'close', at, code: 1005, reason: '' }, 'the session is over: code 1005'],
]

const ofServer: [ServerDiaryEntry, string][] = [
  [
    { type: 'carrier', at, transport: 'stream', epoch: 2, received: 3, acknowledged: 4 },
    'carrier 2, stream: in use or being tried; 3 received, 4 acknowledged',
  ],
  [
    {
      type: 'carrier',
      at,
      transport: 'websocket',
      epoch: 5,
      ended: 100,
      by: 'server',
      why: 'silent',
      received: 0,
      acknowledged: 1,
    },
    'carrier 5, websocket: ended after 100 ms by the server: silent; 0 received, 1 acknowledged',
  ],
  [
    {
      type: 'carrier',
      at,
      transport: 'websocket',
      epoch: 0,
      ended: 100,
      by: 'client',
      why: 'closed 1001',
      received: 0,
      acknowledged: 0,
    },
    'an ordinary websocket: ended after 100 ms by the client: closed 1001; 0 received, 0 acknowledged',
  ],
]

test.each([...ofClient, ...ofServer])('%o', (entry, words) => {
  expect(formatDiary([entry])).toBe(`${time} ${words}\n`)
})

test('a line for each entry', () => {
  const all = ofClient.map(([entry]) => entry)
  expect(formatDiary(all).split('\n').length).toBe(all.length + 1)
  expect(formatDiary([])).toBe('')
})
