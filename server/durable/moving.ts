/** A client that moves from one server to another. */
import type { Snapshot } from '../../shared/snapshot.ts'
import type { TopicPlace } from '../base/cluster.ts'
import type { BinaryType } from '../messages/data.ts'

/** A client, as it is written down. */
export interface Moving {
  /** A hash of the session's key: it proves to whom the session belongs. */
  readonly proof: string
  readonly protocol: string
  readonly snapshot: Snapshot
  /** Its topics, and the place up to which it has each. */
  readonly topics: readonly (readonly [topic: string, place: TopicPlace | undefined])[]
  readonly binaryType: BinaryType
  /** What the application keeps of it. */
  readonly data: unknown
  /** It is not certain that the application has been told of it. */
  readonly isNew?: boolean
}
