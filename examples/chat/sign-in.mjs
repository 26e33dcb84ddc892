// Signed cookies that say who a visitor is: an id, a name and the time of expiry. The secret lives as long as the process.
import { createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'

const cookie = 'everwire-chat'
const lifetime = 12 * 60 * 60 * 1000
const secret = randomBytes(32)
const sign = (text) => createHmac('sha256', secret).update(text).digest('base64url')

/** Sets the cookie by res.cookie(). Its options keep it from scripts, and from requests that other sites cause. */
export function giveToken(res, name) {
  const visitor = { id: randomBytes(12).toString('base64url'), name, expires: Date.now() + lifetime }
  const body = Buffer.from(JSON.stringify(visitor)).toString('base64url')
  const options = { httpOnly: true, sameSite: 'strict', secure: res.req.secure, maxAge: lifetime }
  res.cookie(cookie, `${body}.${sign(body)}`, options)
}

export const takeToken = (res) => res.clearCookie(cookie, { httpOnly: true, sameSite: 'strict' })

/** The visitor of the request's token; undefined if the token is missing, forged or expired. */
export function visitorOf(req) {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [key, token = ''] = pair.trim().split('=')
    const [body = '', signature = ''] = token.split('.')
    if (key !== cookie) continue
    const given = Buffer.from(signature)
    const right = Buffer.from(sign(body))
    if (given.length !== right.length || !timingSafeEqual(given, right)) continue
    const visitor = JSON.parse(Buffer.from(body, 'base64url').toString())
    if (visitor.expires > Date.now()) return visitor
  }
}

/** A name in its one form: composed, trimmed, single spaces. */
export const tidyName = (name) => String(name).normalize('NFKC').trim().replace(/\s+/g, ' ')

export const isName = (name) => /^[\p{L}\p{N}][\p{L}\p{N}\p{M} ._'-]{0,23}$/u.test(name)

export const sameName = (a, b) => a.toLowerCase() === b.toLowerCase()

const moods = ['calm', 'bright', 'quick', 'gentle', 'brave', 'quiet', 'merry', 'patient', 'curious', 'lucky']
const animals = ['otter', 'heron', 'finch', 'lynx', 'wren', 'badger', 'swift', 'hare', 'robin', 'marten']

/** A free name, similar to the wanted one if there is one. */
export function suggestName(isTaken, wanted) {
  const pick = (list) => list[randomInt(list.length)]
  for (let count = 2; ; count++) {
    const name = wanted ? `${wanted.slice(0, 20)} ${count}` : `${pick(moods)} ${pick(animals)}`
    if (!isTaken(name)) return name
    if (count > 20) return `guest ${randomInt(1e6)}`
  }
}
