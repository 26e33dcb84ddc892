/** What both drivers have in common: the session with its timer, and the application behind it. */
import type { Application } from './application.ts'
import type { Control, Link, PortableSession as Session } from './everwire.ts'
import { type Turn, Violation, type World } from './world.ts'

export interface Carrier {
  readonly epoch: number
  readonly link: Link
  flush(): void
  end(why: 'superseded' | 'closed' | 'dead'): void
  /** Something that it has to say or to hear before the session can be forgotten. */
  readonly busy: boolean
}

export abstract class End implements Turn {
  readonly world: World
  readonly application: Application
  session: Session | undefined
  carrier: Carrier | undefined
  dirty = false
  /** Timers are this late, as in a hidden page or a sleeping machine. */
  lateness = 0
  /** Forgotten: nothing is left to do. */
  gone = false
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(world: World, application: Application) {
    this.world = world
    this.application = application
  }

  /** Something happened to the session. */
  touched(): void {
    this.world.atEndOfTurn(this)
  }

  flush(): void {
    const { session } = this
    if (session === undefined || this.gone) return
    this.#tell(session)
    this.carrier?.flush()
    this.#tell(session)
    this.#check(session)
    if (session.done && !this.carrier?.busy) {
      this.gone = true
      this.finished()
      return
    }
    this.#wake(session)
  }

  /** What either role may be told on a carrier that keeps order; anything else is a fault. */
  obey(session: Session, link: Link, control: Control | undefined): void {
    const { world, application } = this
    const { now } = world
    switch (control?.kind) {
      case 'ack':
        if (control.number > link.sent)
          world.count(`${application.name}: more acknowledged than was sent here`)
        if (!session.ackArrived({ number: control.number, offset: 0 }, now))
          this.fail(1002, 'bad acknowledgement')
        return
      case 'ping':
        session.pingArrived(link, control.payload, now)
        return
      case 'pong':
        session.pongArrived(control.payload, now)
        return
      case 'close':
        if (session.over) world.count(`${application.name}: something arrived after the end`)
        session.receive(link, 'close', world.everwire.endPayload(control.code, control.reason), now)
        return
      case 'abort':
        session.abortArrived(control.code, control.reason)
        return
      default:
        this.fail(1002, 'malformed control frame')
    }
  }

  abstract fail(code: number, reason: string): void
  protected abstract dropped(link: Link, why: string): void
  protected abstract finished(): void

  #tell(session: Session): void {
    while (!this.application.paused || session.over) {
      const event = session.event()
      if (event === undefined) return
      if (event.type === 'drop') {
        this.world.count(`dropped: ${event.why}`)
        this.dropped(event.link, event.why)
      } else this.application.take(event)
    }
  }

  #check(session: Session): void {
    const { application } = this
    const queued = application.queued(session)
    const largest = 4096
    if (queued > session.limits.maxBuffered + largest)
      throw new Violation(`${application.name}: replay buffer too large`)
    const { unsentBytes } = session
    // The reason of a close is counted, too.
    if (unsentBytes < 0 || unsentBytes > queued + 123) {
      throw new Violation(`${application.name}: ${unsentBytes} bytes unsent of ${queued}`)
    }
  }

  #wake(session: Session): void {
    const { world } = this
    const next = session.nextTimeout() + this.lateness
    if (next >= this.#wakeAt || next === Number.POSITIVE_INFINITY) return
    this.#wakeAt = next
    world.after(Math.max(next - world.now, 0), () => {
      if (this.#wakeAt !== next) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      const { session } = this
      if (session === undefined || this.gone) return
      if (world.now >= session.nextTimeout()) {
        if (this.lateness > 0 && session.link) world.count('timer: late')
        const { link, over } = session
        session.handleTimeout(world.now)
        if (!over && session.over) world.count('patience ran out')
        else if (session.done) world.count('patience ran out after the close')
        // At once, even if the application takes no events for now.
        else if (link && session.link === undefined) this.dropped(link, 'silent')
      }
      this.touched()
      this.#wake(session)
    })
  }
}
