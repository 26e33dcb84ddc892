// What the doctor is sent to: servers of all kinds, and how it is asked.
import { createServer, type RequestListener } from 'node:http'
import { expect } from 'vitest'
import { type ExamineOptions, examine, type Report } from '../../doctor/node.ts'
import type { ServerOptions } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { type Serving, serve } from '../support/serving.ts'

/** As short as can be: a second for what is held, half a second for what should come at once. */
const quick: ExamineOptions = { duration: 3_500, timeout: 500 }
export const held = 1_000

export function look(url: string, options: ExamineOptions = {}): Promise<Report> {
  return examine(url, { ...quick, ...options })
}

/** Looks at a server of ours directly or through `url`; its application must have seen nothing. */
export async function lookThrough(
  serving: Serving,
  url: string = serving.url,
  options: ExamineOptions = {},
): Promise<Report> {
  const report = await look(url, options)
  expect(serving.connections.size).toBe(0)
  expect(serving.realtime.clients.size).toBe(0)
  return report
}

export function ours(options: ServerOptions = {}): Promise<Serving> {
  return serve({ path: '/realtime', ...options })
}

/** The address of a server that is not ours. */
export async function stranger(answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(answer))}/realtime`
}

export const outcomes = ({ transports }: Report): Record<string, string> =>
  Object.fromEntries(Object.values(transports).map(({ transport, outcome }) => [transport, outcome]))
