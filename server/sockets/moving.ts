/** A client that moves from one server to another. */
import type { Snapshot } from '../../shared/snapshot.ts'
import type { TopicPlace } from '../base/cluster.ts'
import type { BinaryType } from './data.ts'

/** What is written down of a client. */
export interface Moving {
  /** What proves to whom it belongs. */
  readonly proof: string
  readonly protocol: string
  readonly snapshot: Snapshot
  /** Its topics, and up to where it has each. */
  readonly topics: readonly (readonly [topic: string, place: TopicPlace | undefined])[]
  readonly binaryType: BinaryType
  /** What the application keeps of it. */
  readonly data: unknown
  /** The application has not been told of it for certain. */
  readonly isNew?: boolean
}
