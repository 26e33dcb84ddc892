// A client in another language, written from docs/PROTOCOL.md, on the first networks of test/networks. How soon it finds its way
// through it alone decides; but nothing is lost, doubled, mixed up or seen by an application.
import { describe, expect, test } from 'vitest'
import { arrived, hangs } from '../networks/holds.ts'
import { inTheWay } from '../networks/list/in-the-way.ts'
import { unkindToHttp } from '../networks/list/unkind-http.ts'
import { figures, run } from '../networks/run.ts'
import { needs } from '../support/tools.ts'
import { python } from './python-client.ts'

/** And those that cut, lose and repeat what it must resume after. */
const more = ['WebSocket cut', 'streams cut after 2 s', 'answers lost', 'POSTs repeated', 'POSTs overtaking']
const networks = [
  ...inTheWay.slice(0, 10),
  ...[...inTheWay, ...unkindToHttp].filter(({ name }) => more.includes(name)),
]

needs('python3-websockets', 'the client of examples/python', () => {
  describe.concurrent('both ends talk', () => {
    for (const network of networks) {
      const body = (): void =>
        test(network.name, async () => {
          const result = await run(python, network, hangs)
          console.log(`Python, ${network.name}: ${figures(result)}`)
          arrived(result)
          if (network.limits.ends) expect(result.transports.at(-1)).toBe(network.limits.ends)
        })
      if (network.proxy) needs(network.proxy.program, 'a real proxy', body)
      else body()
    }
  })
})
