/** The table of reasons why a client may be gone: the statistics count by the names, the log and the status page say the words. */
export const endReasons = {
  client: 'the client closed',
  left: 'the client left without waiting',
  lost: 'the connection was lost',
  unused: 'never used after it was opened',
  server: 'the application closed',
  terminated: 'the application terminated it',
  maxBuffered: 'too much waited for it (maxBuffered)',
  maxMemory: 'the server’s memory was full (maxMemory)',
  rateLimit: 'it sent too much (rateLimit)',
  refused: 'refused when it came back (verifyResume)',
  fault: 'it broke the protocol',
  handedOver: 'another server goes on with it',
} as const

/** Why a client is gone. docs/MONITORING.md says what each reason means. */
export type EndReason = keyof typeof endReasons
