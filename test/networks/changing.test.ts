// What changes while both ends talk. Everything arrives once, in order and in time.
import { describe } from 'vitest'
import { changing } from './list.ts'
import { testNetwork } from './holds.ts'

describe.concurrent('both ends talk', () => {
  for (const network of changing) testNetwork(network)
})
