/** Headers that a strict middlebox knows: those of the standards, without headers that only some software sends. */
import type { Head } from './http.ts'

const known: ReadonlySet<string> = new Set(
  `accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
  access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
  access-control-max-age access-control-request-headers access-control-request-method age allow authorization
  cache-control connection content-disposition content-encoding content-language content-length content-location
  content-range content-security-policy content-type cookie date etag expect expires from host if-match
  if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link location max-forwards
  origin pragma proxy-authenticate proxy-authorization range referer retry-after sec-websocket-accept
  sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server set-cookie
  strict-transport-security te trailer transfer-encoding upgrade user-agent vary via www-authenticate`.split(
    /\s+/,
  ),
)

/** The headers of a head without the unknown ones. */
export function knownHeaders(head: Head): Head['headers'] {
  return head.headers.filter(([name]) => known.has(name.toLowerCase()))
}
