// What changes while both ends talk. Everything arrives once, in order and in time.
import { describe } from 'vitest'
import { testNetwork } from './holds.ts'
import { changing } from './list/changing.ts'

describe.concurrent('both ends talk', () => {
  for (const network of changing) testNetwork(network)
})
