// The chat example in each engine: two visitors, who make their networks worse while they talk.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Chat, startChat, stopChat } from './chat-server.ts'
import type { Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

declare global {
  var troubles: string[]
}

const carrier = (page: Page) =>
  page.evaluate(() => document.querySelector<HTMLElement>('#wire')?.dataset.transport)

async function carriedBy(page: Page, transport: string): Promise<void> {
  await expect.poll(() => carrier(page)).toBe(transport)
}

const texts = (page: Page, selector: string) =>
  page.evaluate((all) => [...document.querySelectorAll(all)].map(({ textContent }) => textContent), selector)

const counts = (page: Page) =>
  page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll<HTMLElement>('[data-count]')].map((shown) => [
        shown.dataset.count ?? '',
        Number(shown.textContent),
      ]),
    ),
  )

const click = (page: Page, selector: string) =>
  page.evaluate((one) => document.querySelector<HTMLElement>(one)?.click(), selector)

/** Writes into a field and sends what it is part of. */
const submit = (page: Page, selector: string, text: string) =>
  page.evaluate(
    (one, value) => {
      const field = document.querySelector<HTMLInputElement>(one)
      if (!field?.form) throw new Error(`No field ${one}`)
      field.value = value
      field.dispatchEvent(new Event('input', { bubbles: true }))
      field.form.requestSubmit()
    },
    selector,
    text,
  )

/** Cuts the wire, and says something as soon as nothing carries it. Returns what waits then. */
const cutAndSay = (page: Page, text: string) =>
  page.evaluate(async (said) => {
    const find = (selector: string) => document.querySelector(selector) as HTMLInputElement
    const wire = find('#wire')
    const gone = new Promise<void>((resolve) => {
      const look = () => wire.dataset.transport === 'none' && resolve()
      new MutationObserver(look).observe(wire, { attributes: true })
    })
    find('#cut').click()
    await gone
    find('#text').value = said
    find('#composer').dispatchEvent(new Event('submit', { cancelable: true }))
    return [...document.querySelectorAll('.message.pending .text')].map(({ textContent }) => textContent)
  }, text)

inEachEngine('the chat', (engine) => {
  let chat: Chat

  beforeAll(async () => {
    chat = await startChat()
  })

  afterAll(async () => {
    if (chat) expect(await stopChat(chat)).toBe(0)
  })

  async function come(name: string, host: string): Promise<Page> {
    const page = await engine().open()
    await page.goto(`http://${host}:${new URL(chat.url).port}`)
    await page.evaluate(() => {
      globalThis.troubles = []
      addEventListener('error', ({ message }) => troubles.push(message))
      addEventListener('unhandledrejection', ({ reason }) => troubles.push(String(reason)))
    })
    expect(await page.evaluate(() => document.visibilityState)).toBe('visible')
    await expect.poll(() => texts(page, '#suggestion')).not.toEqual([''])
    await submit(page, '#name', name)
    await carriedBy(page, 'websocket')
    return page
  }

  test('loses nothing while its network is forbidden, cut and allowed again', async () => {
    // A host of its own for each: cookies are by host, and these two are two visitors.
    const yuan = await come('yuan', '127.0.0.1')
    const mei = await come('mei', 'localhost')
    const pages = [yuan, mei]
    await expect.poll(() => texts(yuan, '.line')).toContain('mei joined')
    for (const page of pages) await click(page, '#traffic')

    await click(yuan, '#forbid-websocket')
    await carriedBy(yuan, 'stream')
    await click(yuan, '#forbid-streaming')
    await carriedBy(yuan, 'polling')
    // Exchanges may be back before anybody calls that a loss; a WebSocket is not.
    await click(yuan, '#cut')
    await submit(yuan, '#text', 'still here?')
    expect(await cutAndSay(mei, 'I am')).toEqual(['I am'])
    await carriedBy(mei, 'websocket')
    const said = ['I am', 'still here?']
    for (const page of pages)
      await expect.poll(async () => (await texts(page, '.message .text')).sort()).toEqual(said)
    await click(yuan, '#forbid-streaming')
    await click(yuan, '#forbid-websocket')
    await carriedBy(yuan, 'websocket')

    for (const page of pages) {
      await expect.poll(async () => (await counts(page)).sent).toBeGreaterThan(200)
      await click(page, '#traffic')
    }
    for (const [page, other] of [
      [yuan, mei],
      [mei, yuan],
    ] as const) {
      const { sent } = await counts(page)
      const whole = { missing: 0, repeated: 0, disordered: 0 }
      await expect.poll(() => counts(page)).toMatchObject({ sent, delivered: sent, ...whole })
      await expect.poll(() => counts(other)).toMatchObject({ people: sent, ...whole })
    }
    expect(await texts(yuan, '.message.pending')).toEqual([])
    for (const page of pages) {
      expect(await page.evaluate(() => troubles)).toEqual([])
      await page.close()
    }
  })
})
