/** An EventEmitter whose events have names and arguments. A wrong name, or a wrong listener, is an error that names the event. */
import { EventEmitter } from 'node:events'

type Listener<Args> = (...args: Args extends readonly unknown[] ? Args : never) => void

export interface TypedEmitter<Events> {
  on<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  once<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  off<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  addListener<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  removeListener<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  prependListener<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  prependOnceListener<Name extends keyof Events & string>(event: Name, listener: Listener<Events[Name]>): this
  emit<Name extends keyof Events & string>(
    event: Name,
    ...args: Events[Name] extends readonly unknown[] ? Events[Name] : never
  ): boolean
}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: only types of methods that EventEmitter has.
// biome-ignore lint/correctness/noUnusedVariables: the interface uses it.
export class TypedEmitter<Events> extends EventEmitter {}
