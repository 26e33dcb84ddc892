/** WebSockets are refused, and HTTP is not left alone either. */
import type { Network } from '../network.ts'
import { untilPolling, withPauses } from './in-the-way.ts'
import { hiccup, raceDelay, refused, roundTrip } from './limits.ts'

export const unkindToHttp: readonly Network[] = [
  {
    name: 'buffered',
    does: 'Passes an answer on once it is complete.',
    faults: { upgrade: 403, buffer: true },
    during: untilPolling,
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip,
      because: 'a stream that is held back gives way to polling',
      ends: 'polling',
    },
  },
  {
    name: 'buffered, cut after 2 s',
    does: 'Passes an answer on once it is complete, and gives those up that take two seconds.',
    faults: { upgrade: 403, buffer: true, answerLimit: 2000 },
    during: withPauses,
    longer: 6,
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip,
      because: 'a stream that is held back gives way to polling, and what was cut is asked for again',
      ends: 'polling',
    },
  },
  {
    name: 'buffered by 512 bytes',
    does: 'Passes an answer on each time that 512 bytes have gathered: a busy stream goes through, its end does not.',
    faults: { upgrade: 403, buffer: 512 },
    talk: { every: 5, large: 500 },
    during: untilPolling,
    limits: {
      ...refused,
      gap: raceDelay + 4 * roundTrip + 1000,
      because: 'what was given to the stream and does not come shows that it is held back: then polling',
      ends: 'polling',
    },
  },
  {
    name: 'streams cut after 2 s',
    does: 'Cuts every answer after two seconds.',
    faults: { upgrade: 403, answerLimit: 2000 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      gap: 2 * roundTrip + hiccup,
      because: 'the next answer has a connection and a round trip',
    },
  },
  {
    name: 'answers lost',
    does: 'Cuts one request in ten after the server has worked on it.',
    faults: { upgrade: 403, loseAnswers: 0.1 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 9 * roundTrip,
      gap: 1000,
      because: 'a failed exchange is made again at once, a second time after 300 ms',
    },
  },
  {
    name: 'POSTs repeated',
    does: 'Sends one POST in three to the server twice.',
    faults: { upgrade: 403, repeatPosts: 0.33 },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      gap: 500,
      because: 'what is repeated is answered without messages; they come with the next',
    },
  },
  {
    name: 'POSTs overtaking',
    does: 'Holds one POST in three back, for 200 ms at most, so that the next overtakes it.',
    faults: { upgrade: 403, overtake: [0.33, 200] },
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 5 * roundTrip + 2 * 200,
      gap: 200 + 2 * hiccup,
      because: 'one that nothing overtakes waits for 200 ms',
    },
  },
  ...([64, 1024] as const).map(
    (kib): Network => ({
      name: `bodies of ${kib} KiB`,
      does: 'Answers larger requests with 413 and a page.',
      faults: { upgrade: 403, maxBody: kib * 1024 },
      talk: { every: 50, large: 1_500_000 },
      during: ({ exchange }) => exchange(30),
      limits: {
        ...refused,
        // Where the limit has to be found out first: the largest pieces are of 256 KiB.
        gap: Math.ceil(1_500_000 / (Math.min(kib, 256) * 1024)) * (roundTrip + 15) + 5 * roundTrip,
        because: 'a message of 1.5 MB goes in pieces, each with its round trip',
      },
    }),
  ),
  {
    name: 'stripped',
    does: 'Takes away every header it does not know, and knows nothing but GET and POST.',
    faults: { upgrade: 403, strip: true },
    limits: refused,
  },
  {
    name: 'gzip',
    does: 'Compresses answers.',
    faults: { upgrade: 403, gzip: true },
    limits: refused,
  },
  {
    name: 'error pages',
    does: 'Answers one request in five with an error page of its own.',
    faults: { upgrade: 403, errorPages: 0.2 },
    // At most two of the first 600 requests in a row meet an error page, so that the limit for a second failure holds whichever
    // requests they are. Seed 1 has four in a row: if all of them are of one kind, the client makes longer pauses.
    seed: 67,
    during: ({ exchange }) => exchange(200),
    limits: {
      ...refused,
      first: 5 * roundTrip + 1000,
      gap: 1000,
      because: 'a failed exchange is made again at once, a second time after 300 ms',
    },
  },
]
