/** The option `headers` as a function, for Node and React Native: it is asked together with `token`, before each connection. */
import type { WebSocketOptions } from './types.ts'

export type Headers = Readonly<Record<string, string>>

/** The option `headers`, where a runtime may set them. */
export interface WithHeaders {
  /**
   * Headers of every request and handshake, as `Cookie` or `Authorization`. A function (also async) is asked anew before each
   * connection; the transports that are tried at a time share its answer.
   */
  readonly headers?: Headers | (() => Headers | PromiseLike<Headers>) | undefined
}

/** Options whose headers are known: if they were a function, those of its latest answer. */
export type Answered<Options> = Omit<Options, 'headers'> & { readonly headers?: Headers | undefined }

/** Whether this is a `Headers`, a Map or a list. Its entries are no properties, so none of them would be sent. */
export function hasEntries(headers: unknown): boolean {
  return Symbol.iterator in Object(headers)
}

/** The options with known headers. `always`: headers that each connection has in any case. */
export function askingHeaders<Options extends WebSocketOptions & WithHeaders>(
  options: Options,
  always: Headers = {},
): Answered<Options> {
  const { headers, token, ...others } = options
  const answered: Answered<WebSocketOptions> & { headers?: Headers | undefined } = {
    ...others,
    ...(token !== undefined && { token }),
    headers: { ...(typeof headers === 'object' ? headers : undefined), ...always },
  }
  if (typeof headers === 'function')
    Object.assign(answered, {
      token: async () => {
        const given = await headers()
        if (hasEntries(given)) throw new TypeError('the function "headers" must give a plain object')
        answered.headers = { ...given, ...always }
        return typeof token === 'function' ? token() : token
      },
    })
  return answered as Answered<Options>
}
