// The balancers of docs/CLUSTER.md as they stand there: each sends one request after the other to the next server.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Proxy as Balancer, startProxy } from '../support/proxies.ts'

export type BalancerProgram = 'nginx' | 'haproxy'

/** Starts the document's balancer before the servers on these three ports. */
export function startBalancer(program: BalancerProgram, ports: readonly number[]): Promise<Balancer> {
  return startProxy({ program, config: configuration(program, ports) })
}

function configuration(program: BalancerProgram, ports: readonly number[]): string {
  // Commands and tests run in the root of the project.
  const document = readFileSync(resolve('docs/CLUSTER.md'), 'utf8')
  const [, config] = new RegExp(`^\`\`\`${program}\\n(.*?)^\`\`\``, 'ms').exec(document) as unknown as [
    string,
    string,
  ]
  const here = ports.reduce(
    (text, port, at) => text.replace(`10.0.0.${at + 1}:3000`, `127.0.0.1:${port}`),
    config,
  )
  return here.replace(/(listen |bind )(\*:)?80\b/, '$1127.0.0.1:PORT')
}
