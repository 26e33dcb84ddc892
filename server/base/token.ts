/** Who a client says it is: its token, as `verifyClient` and the application see it. */
import type { IncomingMessage } from 'node:http'

/** What the client's option `token` adds to the request of a new client. */
export interface WithToken {
  /** The client's token. If your middleware has set this property before, its value stays. */
  readonly token?: string | undefined
}

const tokens = new WeakMap<IncomingMessage, string>()

/** The token that came with this request. */
export function tokenOf(request: IncomingMessage): string | undefined {
  return tokens.get(request)
}

/** Shows the application the token of a request. A name that its middleware uses already is left alone: a client must not replace it. */
export function showToken(request: IncomingMessage & { token?: unknown }, token: string | undefined): void {
  if (token === undefined) return
  tokens.set(request, token)
  request.token ??= token
}
