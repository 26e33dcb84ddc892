/** What a rule knows of the server: its address and how long to wait; and what must be ended afterwards. */

export class Setting {
  readonly url: URL
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number
  readonly headers: Readonly<Record<string, string>>
  readonly #afterwards: (() => void)[] = []

  constructor(url: URL, timeout: number, headers: Readonly<Record<string, string>> = {}) {
    this.url = url
    this.timeout = timeout
    this.headers = headers
  }

  /** The address with `everwire=` and this value added to its query. */
  address(value: string): URL {
    const url = new URL(this.url)
    url.protocol = url.protocol.replace('ws', 'http')
    url.search += `${url.search === '' ? '?' : '&'}everwire=${value}`
    url.hash = ''
    return url
  }

  get socketAddress(): URL {
    const url = new URL(this.url)
    url.protocol = url.protocol.replace('http', 'ws')
    url.hash = ''
    return url
  }

  afterwards(step: () => void): void {
    this.#afterwards.push(step)
  }

  end(): void {
    for (const step of this.#afterwards.splice(0)) step()
  }
}
