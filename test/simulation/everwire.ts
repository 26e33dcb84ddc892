/** All of shared/ as one module, so that a simulation can run against an altered copy of it. */
export * from '../../shared/bytes.ts'
export * from '../../shared/codes.ts'
export * from '../../shared/control.ts'
export * from '../../shared/exchange.ts'
export * from '../../shared/limits.ts'
export * from '../../shared/link.ts'
export * from '../../shared/message.ts'
export {
  decodeServerControl as decodeControl,
  encodeServerControl as encodeControl,
} from '../../shared/server-control.ts'
export * from '../../shared/session.ts'
export * from '../../shared/snapshot.ts'
export * from '../../shared/text.ts'
