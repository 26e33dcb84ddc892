/** The application's decision on a client: `verifyClient`, the subprotocol and headers. Checks values before they are sent. */
import {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http'
import { inspect } from 'node:util'
import { internalError, isToken, type Refusal } from '../base/handshake.ts'
import { ownText } from '../base/own-text.ts'
import { isPromise } from '../base/promise.ts'
import { tokenOf } from '../base/token.ts'
import { rethrow } from '../base/turn.ts'
import { deadline } from '../base/wakeups.ts'
import { addressOf, schemeOf } from './address.ts'
import type { ResolvedOptions } from './options.ts'
import { originOf } from './origins.ts'

type Decision = Refusal | undefined

/** The refusal of a session whose clients have all left before the decision. */
export const gone: Refusal = { status: 503, reason: 'The client has disconnected' }
const refused: Refusal = { status: 401, reason: 'Unauthorized' }
const undecided: Refusal = { status: 503, reason: 'The application did not decide in time' }

/**
 * The application's decision on a new client: its subprotocol, or the refusal. A promise only with `verifyClient`.
 * `letIn` is called before the subprotocol is chosen.
 */
export function decide(
  options: ResolvedOptions,
  request: IncomingMessage,
  offered: Set<string>,
  letIn: () => void,
): Refusal | string | Promise<Refusal | string> {
  const answer = (refusal: Decision): Refusal | string => {
    if (refusal) return refusal
    letIn()
    return choose(options, offered, request)
  }
  try {
    const verified = verify(options, request)
    return verified ? verified.then(answer).catch(failed) : answer(undefined)
  } catch (error) {
    return failed(error)
  }
}

/** Answers the client even though the application failed. */
function failed(error: unknown): Refusal {
  rethrow(error)
  return internalError
}

/**
 * The application's first decision, or a refusal when its time is over. A later decision has no effect; a later exception
 * is rethrown as the application's own. Undefined if the application decides on nobody.
 */
export function verify(
  options: ResolvedOptions,
  request: IncomingMessage,
  resuming = false,
): Promise<Decision> | undefined {
  if (!options.verifyClient) return undefined
  const takesCallback = options.verifyClient.length >= 2
  const info = {
    origin: originOf(request),
    secure: schemeOf(request, options) === 'https',
    address: addressOf(request, options),
    req: request,
    token: tokenOf(request),
    resuming,
  }
  return new Promise((resolve) => {
    let isOpen = true
    let timer: NodeJS.Timeout | undefined
    const settle = (decision: Decision | Promise<never>): void => {
      isOpen = false
      clearTimeout(timer)
      resolve(decision)
    }
    const fail = (error: unknown): void => {
      if (isOpen) settle(Promise.reject(error))
      else rethrow(error)
    }
    const decide = (ok: unknown, ...why: readonly unknown[]): void => {
      if (!isOpen) return
      try {
        settle(ok ? undefined : takesCallback ? refusalOf(...why) : refused)
      } catch (error) {
        fail(error)
      }
    }
    try {
      const returned: unknown = options.verifyClient?.(info, takesCallback ? decide : ignore)
      // As a value a promise would admit everybody.
      if (isPromise(returned)) {
        Promise.resolve(returned).then(takesCallback ? ignore : decide, fail)
      } else if (!takesCallback) decide(returned)
    } catch (error) {
      fail(error)
    }
    if (isOpen) timer = deadline(options.handshakeTimeout, () => settle(undecided))
  })
}

/** Makes a refusal of the callback's arguments. Throws if one is invalid; as in `ws`, missing or empty ones have defaults. */
function refusalOf(status?: unknown, reason?: unknown, headers?: unknown): Refusal {
  const code = Number.isNaN(status) ? Number.NaN : Number(status || refused.status)
  if (!Number.isInteger(code) || code < 200 || code > 599) {
    throw new RangeError(
      `verifyClient gave the status ${inspect(status)}; it must be a whole number from 200 to 599`,
    )
  }
  const text = reason || STATUS_CODES[code] || ''
  if (typeof text !== 'string') {
    throw new TypeError(`verifyClient gave the reason ${inspect(reason)}; it must be a string`)
  }
  return { status: code, reason: text, ...(headers ? { headers: checkedHeaders(headers) } : {}) }
}

function checkedHeaders(given: unknown): OutgoingHttpHeaders {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`verifyClient gave the headers ${inspect(given)}; they must be an object`)
  const headers: OutgoingHttpHeaders = {}
  for (const [name, value] of Object.entries(given)) {
    // The server writes the body, and so these headers too.
    if (value === undefined || /^(content-length|transfer-encoding)$/i.test(name)) continue
    const values = [value as unknown].flat().map(String)
    checkHeader('verifyClient', name, values)
    headers[name] = Array.isArray(value) ? values : (values[0] as string)
  }
  return headers
}

/** Parses a line that a listener for `headers` added. Throws if the line cannot be sent. */
export function parseHeaderLine(line: unknown): readonly [name: string, value: string] {
  const text = String(line)
  const [name = '', value = ''] = text.split(/:[ \t]*(.*)/s, 2)
  if (!text.includes(':'))
    throw new TypeError(`A listener for "headers" added ${inspect(line)}; a line must be "Name: value"`)
  checkHeader('A listener for "headers"', name, [value])
  return [name, value.trim()]
}

function checkHeader(who: string, name: string, values: readonly string[]): void {
  try {
    validateHeaderName(name)
    for (const value of values) validateHeaderValue(name, value)
  } catch (error) {
    const what = `${inspect(name)}: ${inspect(values.join(', '))}`
    throw new TypeError(`${who} gave a header that cannot be sent: ${what}`, { cause: error })
  }
}

/** The subprotocol, or `''` for none. As in `ws`, the client refuses a subprotocol that it has not offered. */
function choose(options: ResolvedOptions, offered: Set<string>, request: IncomingMessage): string {
  const [first = ''] = offered
  if (first === '' || !options.handleProtocols) return ownText(first)
  const chosen: unknown = options.handleProtocols(offered, request)
  if (chosen && typeof chosen !== 'string') {
    throw new TypeError(`handleProtocols returned ${inspect(chosen)}; it must return a string or false`)
  }
  return isToken(chosen) ? ownText(chosen) : ''
}

function ignore(): void {}
