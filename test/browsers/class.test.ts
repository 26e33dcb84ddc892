// The class suite in real pages: on our client as a page loads it, over each transport alone and over all, and on the
// browser's own class, to a `ws` server and to ours.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import type * as Contract from '../contract/class-contract.ts'
import { caseNames, type Outcome, type Subject } from '../contract/class-contract.ts'
import { type ClassServer, freeAddress, startClassServer } from '../contract/class-server.ts'
import { Tally } from '../contract/tally.ts'
import { bundleForPage } from './bundle.ts'
import type { EngineName, Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

/** What the page has beside what every page has. */
declare const contract: typeof Contract
declare const everwire: { readonly WebSocket: Subject['WebSocket'] }
declare const troubles: string[]

const root = fileURLToPath(new URL('../..', import.meta.url))
const html = `<!doctype html><meta charset="utf-8"><title>Class suite</title><link rel="icon" href="data:,">
<script>
const troubles = []
addEventListener('error', ({ message }) => troubles.push(message))
addEventListener('unhandledrejection', ({ reason }) => troubles.push(String(reason)))
</script><script src="/everwire.js"></script><script src="/contract.js"></script>`

interface Row {
  readonly name: string
  readonly kind: 'everwire' | 'native'
  readonly server: 'everwire' | 'ws'
  readonly transports?: readonly string[]
  readonly session?: boolean
}

interface OwnWay {
  /** How the case fails there. */
  readonly fails: RegExp
  readonly why: string
  /** It depends on the moment. */
  readonly sometimes?: boolean
}

const like = (expected: string): OwnWay => ({
  fails: /./,
  why: `does what the standard says, where Chromium does not: ${expected}`,
})
const opensAllTheSame: OwnWay = {
  fails: /^not through/,
  why: 'opens though the server has chosen none of the subprotocols that were offered',
}
const takesForError: OwnWay = {
  fails: /^1013 here: .* got .*1006/,
  why: "takes a server's 1013 for an error: 1006",
}
const opensInPassing: OwnWay = {
  fails: /got \[1005,/,
  why: 'closes with 1005 when the handshake was all but through',
  sometimes: true,
}
const cutsAtNul: OwnWay = {
  fails: /stands in frames.* got .*1000,\\"",/,
  why: 'cuts a reason at a NUL',
}

/** What the other engines' own classes do in another way than Chromium's, by case. Ours does the same everywhere. */
const ownWays: Readonly<Record<EngineName, Readonly<Record<string, OwnWay>>>> = {
  Chromium: {},
  Firefox: {
    'subprotocols offered and none chosen: error, then close 1006, and never open': opensAllTheSame,
    'a reason without a code is nothing': like('an undefined code is none'),
    'a code is converted as a number is: from a string, and rounded': like('codes are rounded'),
    'close() converts its arguments in their order, before it looks at any of them; a code is rounded':
      like('codes are rounded'),
    'what is no URL, has another scheme or a fragment throws SyntaxError': like('a host has no space'),
    'closed while CONNECTING, after a while: the same': opensInPassing,
  },
  WebKitGTK: {
    'subprotocols offered and none chosen: error, then close 1006, and never open': opensAllTheSame,
    'a reason without a code is nothing': like('an undefined code is none'),
    'what is no URL, has another scheme or a fragment throws SyntaxError': like('a host has no space'),
    'send() after close() throws nothing and sends nothing; its bytes stay in bufferedAmount': {
      fails: /^while CLOSING: expected 4, got 10$/,
      why: 'bufferedAmount counts the frame, not the payload, of what is sent after close()',
    },
    'close(code, reason): reasons of 123 bytes of any script reach the server and come back': cutsAtNul,
    'reasons of 123 bytes of any script arrive from the server': cutsAtNul,
    'every code that the server closes with arrives, and the server sees it come back': takesForError,
    'what was sent right before close() arrives, all of it, before the close': {
      fails: /got \[4000,"bye",20\d\]$/,
      why: 'loses a Blob, and what was sent after it, in front of close()',
    },
  },
}
/** What is below a socket without a session shows through it. */
const showing: ReadonlySet<OwnWay | undefined> = new Set([cutsAtNul, opensInPassing, takesForError])
/** A case that hangs there need not hang for long. */
const soon = 2000

inEachEngine('the class suite', (engine, engineName) => {
  let script: string
  const tally = new Tally()

  const pages = (app: Express): void => {
    app.get('/page', (_request, response) => void response.type('html').send(html))
    app.get('/contract.js', (_request, response) => void response.type('js').send(script))
    app.get('/everwire.js', (_request, response) => {
      response.type('js').send(readFileSync(`${root}/dist/everwire.js`))
    })
  }

  beforeAll(async () => {
    await ensureBuilt()
    script = await bundleForPage('test/contract/class-contract.ts', 'contract')
  })

  afterAll(() => tally.print())

  const ours = { kind: 'everwire', server: 'everwire' } as const

  describe.each<Row>([
    { ...ours, name: 'everwire over websocket', transports: ['websocket'] },
    { ...ours, name: 'everwire over stream', transports: ['stream'] },
    { ...ours, name: 'everwire over sse', transports: ['sse'] },
    { ...ours, name: 'everwire over polling', transports: ['polling'] },
    { ...ours, name: 'everwire over all' },
    { ...ours, name: 'everwire without a session, to ws', session: false, server: 'ws' },
    { name: "the browser's own class, to ws", kind: 'native', server: 'ws' },
    { name: "the browser's own class, to everwire's server", kind: 'native', server: 'everwire' },
  ])('$name', ({ name, kind, server: serverKind, ...options }) => {
    let server: ClassServer
    let deadUrl: string
    let page: Page

    beforeAll(async () => {
      server = await startClassServer(serverKind, pages)
      deadUrl = await freeAddress()
      page = await engine().open()
      await page.goto(`${server.origin}/page`)
    })

    afterAll(async () => {
      const found = await page?.evaluate(() => troubles)
      await page?.close()
      await server?.close()
      expect(found).toEqual([])
    })

    test.each(caseNames)('%s', async (caseName) => {
      const given = { kind, url: server.url, deadUrl, ...(kind === 'everwire' && { options }) }
      const way = ownWays[engineName][caseName]
      const own = kind === 'native' || (options.session === false && showing.has(way)) ? way : undefined
      const outcome: Outcome = await page.evaluate(
        (oneName, subject, limit) =>
          contract.runNamed(
            oneName,
            {
              ...subject,
              base: document.baseURI,
              WebSocket: subject.kind === 'native' ? WebSocket : everwire.WebSocket,
            },
            limit ?? undefined,
          ),
        caseName,
        given,
        // Who fails in words of its own has the time for them.
        own?.fails.test('not through') ? soon : null,
      )
      const row = `${name}, in ${engineName}`
      if (own && !(own.sometimes && outcome.error === undefined)) {
        tally.count(row, { differences: [`${engineName}: ${own.why}`] })
        expect(outcome.error).toMatch(own.fails)
      } else {
        tally.count(row, outcome)
        expect(outcome.error).toBe(undefined)
      }
    })
  })
})
