/** Finds the largest request body that arrives: larger and larger until one does not arrive, then between the two. */
import { type HttpResult, httpProbe, type Site } from './http-probe.ts'
import { type BodyReport, size } from './report.ts'

const smallest = 16 * 1024
/** After this many steps a more exact limit is not worth the time. */
const narrowings = 4

/** `most` is the server's own limit. After `deadline`, a time of the site's clock, no new size is tried. */
export async function largestBody(site: Site, most: number, deadline: number): Promise<BodyReport> {
  let arrived = 0
  let failed: { bytes: number; result: HttpResult } | undefined
  let late = false

  const attempt = async (bytes: number): Promise<void> => {
    // A large body takes long on a slow line.
    const slower = { ...site, timeout: site.timeout * 2 }
    const result = await httpProbe(slower, { kind: 'short', size: bytes })
    if (result.ours && result.welcome?.got === result.size) arrived = Math.max(arrived, result.size)
    else failed = { bytes, result }
  }

  for (let bytes = Math.min(smallest, most); ; bytes = Math.min(bytes * 4, most)) {
    await attempt(bytes)
    late = site.clock.now > deadline || site.signal.aborted
    if (failed || bytes >= most || late) break
  }
  for (let i = 0; i < narrowings && failed && !late; i++) {
    const between = Math.round((arrived + failed.bytes) / 2 / 1024) * 1024
    if (between <= arrived || between >= failed.bytes) break
    await attempt(between)
    late = site.clock.now > deadline || site.signal.aborted
  }
  if (!failed) {
    const says = late && arrived < most ? 'there was no time to try larger ones' : "the server's limit"
    return { arrived, says: `up to ${size(arrived)} arrive (${says})` }
  }
  const { bytes, result } = failed
  const why = result.hindrance?.says ?? 'only a part arrived'
  return {
    arrived,
    refused: bytes,
    says: `up to ${size(arrived)} arrive; ${size(bytes)} do not: ${why}`,
    ...(result.hindrance && { hindrance: result.hindrance }),
  }
}
