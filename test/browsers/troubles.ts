import type { Page } from 'playwright-core'

/** A list of what goes wrong in a page from now on: exceptions, and errors and warnings of its console. */
export function troublesOf(page: Page, troubles: string[] = []): string[] {
  page.on('pageerror', (error) => troubles.push(String(error)))
  page.on('console', (message) => {
    // The browser says this when a connection is refused, cut, or given up for another transport. No page can prevent it.
    const ofNetwork = /^(Failed to load resource|WebSocket connection to)/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !ofNetwork) troubles.push(message.text())
  })
  return troubles
}
