// The load generator, in a process of its own. One job at a time: `start` it, `mark` before and after what is measured,
// `stop` it.

import { serve } from '../processes.mjs'
import { EchoLoad, IdleLoad, PublishLoad } from './loads.mjs'

const jobs = { echo: EchoLoad, idle: IdleLoad, publish: PublishLoad }
let job

serve({
  async start({ kind, ...options }) {
    job = new jobs[kind](options)
    await job.start()
  },
  mark: () => job.mark(),
  async stop() {
    const end = await job.stop()
    job = undefined
    return end
  },
})
