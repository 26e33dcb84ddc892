// A new window costs a browser half a second to a whole second of work, most of what a short test in a page costs at all: a page
// that is closed is kept for the next test.
import type { Page } from './engine.ts'

interface Kept {
  readonly page: Page
  /** Where its earlier tests went: a page's storage is there still. */
  readonly origins: Set<string>
}

const nowhere = 'about:blank'

/** Opens pages as `open` does. None finds what another test has stored. */
export function reusing(open: () => Promise<Page>): () => Promise<Page> {
  const kept: Kept[] = []
  return async () => {
    let mine = kept.pop() ?? { page: await open(), origins: new Set() }
    const visited = new Set<string>()
    return {
      async goto(url) {
        const { origin } = new URL(url)
        if (mine.origins.has(origin) && !visited.has(origin)) {
          // A port that an earlier test's server had.
          await mine.page.close()
          mine = { page: await open(), origins: new Set() }
        }
        visited.add(origin)
        await mine.page.goto(url)
      },
      evaluate: (what, ...args) => mine.page.evaluate(what, ...args),
      async close() {
        await mine.page.goto(nowhere)
        for (const origin of visited) mine.origins.add(origin)
        kept.push(mine)
      },
    }
  }
}
