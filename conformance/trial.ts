/** One rule's run. */
import { randomBytes } from 'node:crypto'
import { Guest } from './guest.ts'
import { Setting } from './setting.ts'

export class Trial extends Setting {
  /** A client that the server has not seen before. */
  guest(): Guest {
    return new Guest(this, randomBytes(12), randomBytes(16))
  }
}
