/** All of shared/ as one module, so that a simulation can run against an altered copy of it. */
export * from '../../shared/bytes.ts'
export * from '../../shared/carry.ts'
export * from '../../shared/codes.ts'
export * from '../../shared/exchange.ts'
export {
  type Control as Bare,
  controlText,
  escape,
  type Frame,
  kinds,
  type Piece,
  readControl,
  readWelcome,
  type Welcome,
} from '../../shared/frame.ts'
export * from '../../shared/limits.ts'
export * from '../../shared/link.ts'
export * from '../../shared/message.ts'
export * from '../../shared/session.ts'
export * from '../../shared/snapshot.ts'
export * from '../../shared/text.ts'
export { type Control, decodeControl, encodeControl } from '../support/controls.ts'
