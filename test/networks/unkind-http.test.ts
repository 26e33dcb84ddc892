// HTTP that is not left alone. Everything arrives once, in order and in time.
import { describe } from 'vitest'
import { testNetwork } from './holds.ts'
import { unkindToHttp } from './list/unkind-http.ts'

describe.concurrent('both ends talk', () => {
  for (const network of unkindToHttp) testNetwork(network)
})
