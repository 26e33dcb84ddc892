// A signed cookie that says who a visitor is, as short as possible. Use the session or the token of your framework instead.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const secret = randomBytes(32)
const sign = (name) => `${name}.${createHmac('sha256', secret).update(name).digest('base64url')}`

/** A cookie for a name; undefined if the name is invalid. */
export function cookieFor(name) {
  return /^\w{1,20}$/.test(name) ? `visitor=${sign(name)}; Path=/; HttpOnly; SameSite=Strict` : undefined
}

/** The name that a request's cookie proves. */
export function visitorOf({ headers }) {
  const [token, name] = /\bvisitor=((\w+)\.[^;]*)/.exec(headers.cookie ?? '')?.slice(1) ?? []
  if (name === undefined) return undefined
  const [given, right] = [Buffer.from(token), Buffer.from(sign(name))]
  return given.length === right.length && timingSafeEqual(given, right) ? name : undefined
}

export const page = `<!doctype html>
<title>everwire</title>
<p><input id="name" placeholder="your name"> <button id="in">Sign in</button></p>
<p><input id="text" placeholder="say something"> <output id="said"></output></p>
<script src="/realtime/everwire.js"></script>
<script>
  const by = (id) => document.getElementById(id)
  by('in').onclick = async () => {
    await fetch('/sign-in?name=' + encodeURIComponent(by('name').value), { method: 'POST' })
    location.reload()
  }
  if (globalThis.everwire) {
    const socket = new everwire.WebSocket('/realtime')
    socket.onmessage = ({ data }) => { by('said').value = data }
    by('text').onchange = ({ target }) => socket.send(target.value)
  }
</script>
`
