// What stands before a server, and what is done to WebSockets. Everything arrives once, in order and in time.
import { describe } from 'vitest'
import { testNetwork } from './holds.ts'
import { inTheWay } from './list/in-the-way.ts'

describe.concurrent('both ends talk', () => {
  for (const network of inTheWay) testNetwork(network)
})
