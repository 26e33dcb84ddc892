/** The client that ships, on a platform that is the simulation's network. */
import type { CarrierLink } from '../../client/base/carrier.ts'
import type { DiaryEntry, Transport, WebSocketOptions } from '../../client/base/types.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { Application, type Looked } from './application.ts'
import type { Everwire } from './load.ts'
import { PlainEvent } from './machine.ts'
import type { Network } from './network.ts'
import { watchPhases } from './phases.ts'
import { Violation } from './world.ts'

type Socket = InstanceType<ReturnType<Everwire['client']['webSocketOn']>>

/** Of the client that is simulated now. */
let current: ClientEnd

const classes = new WeakMap<Everwire, ReturnType<Everwire['client']['webSocketOn']>>()

/** The class on this platform, once for all runs of it. */
function classOf(everwire: Everwire): ReturnType<Everwire['client']['webSocketOn']> {
  const known = classes.get(everwire)
  if (known) return known
  const made = everwire.client.webSocketOn(platform)
  classes.set(everwire, made)
  return made
}

type Sign = Extract<DiaryEntry, { readonly type: 'sign' }>['sign']

/** Whom the page tells of its life. */
interface Watcher {
  readonly session: Looked
  readonly pilot: object
  sign(sign: Sign): void
  away?(): void
  back?(): void
  leave?(): void
}

export class ClientEnd extends Application {
  readonly network: Network
  readonly socket: Socket
  /** The class's own connector, as the page's events reach it. */
  watcher: Watcher | undefined
  readonly ownTasks: boolean
  readonly readEvents: Everwire['client']['readEvents']
  /** Leave to hold an exchange is denied for now. */
  slotsDenied = false
  readonly scarce: boolean
  /** What wants each leave back that was given. */
  readonly leaves: Set<() => void> = new Set()
  /** The transports that it has been on, in their order. */
  readonly path: (Transport | null)[] = []

  constructor(everwire: Everwire, network: Network, options: WebSocketOptions) {
    super('client', everwire.world, options.maxBuffered as number)
    this.network = network
    this.readEvents = everwire.client.readEvents
    const { random } = this.world
    this.ownTasks = random.chance(0.7)
    this.scarce = random.chance(0.4)
    current = this
    this.socket = new (classOf(everwire))('ws://server.example/', [], options)
    this.socket.binaryType = 'arraybuffer'
    this.socket.onopen = () => {
      this.wasOpened()
      this.#note()
    }
    this.socket.onmessage = ({ data }) =>
      this.took(
        typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer),
        typeof data !== 'string',
      )
    this.socket.onclose = ({ code, reason, wasClean }) => this.wasClosed(code, reason, wasClean)
    this.socket.ontransportchange = () => this.#note()
  }

  #note(): void {
    const { transport } = this.socket
    if (transport && transport !== this.path.at(-1)) this.path.push(transport)
    this.world.log(`client: on ${transport}`)
  }

  /** Something happens to the page. */
  page(sign: Sign): void {
    const { watcher } = this
    if (sign === 'away' && watcher?.away) watcher.away()
    else if (sign === 'back' && watcher?.back) watcher.back()
    else if (sign === 'leaving' && watcher?.leave) watcher.leave()
    else watcher?.sign(sign)
  }

  override check(): void {
    super.check()
    const { session } = this
    if (this.isOpen && session?.link && !session.over && !this.socket.transport)
      throw new Violation('client: its session is on a carrier that is gone')
  }

  override get session(): Looked | undefined {
    return this.opened > 0 || this.closed ? this.watcher?.session : undefined
  }

  override get isOpen(): boolean {
    return this.socket.readyState === 1
  }

  get diary(): DiaryEntry[] {
    return this.socket.diary
  }

  protected override transmit(message: string | Uint8Array): void {
    this.socket.send(message as string)
  }

  protected override beginClose(code: number, reason: string): void {
    if (code === 1005) this.socket.close()
    else this.socket.close(code, reason)
  }
}

const platform: Platform = {
  get ownTasks() {
    return current.ownTasks
  },
  base: () => undefined,
  webSocket(_url, protocols, _options, link?: CarrierLink) {
    const native = current.network.connect(protocols)
    native.epoch = link?.epoch ?? 0
    return native
  },
  listen: (url, signal) => current.readEvents(current.network.eventSource(url), signal),
  post: (url, init) => current.network.post(url, init).answer,
  task: (run) => void current.world.after(0, run),
  closeEvent: (init) => Object.assign(new PlainEvent('close'), init) as unknown as Event,
  store: () => undefined,
  get slot() {
    return current.scarce ? leave : undefined
  },
  watch(watcher) {
    current.watcher = watcher as unknown as Watcher
    watchPhases(current.world, 'session', current.watcher.session)
    watchPhases(current.world, 'pilot', current.watcher.pilot)
  },
}

async function leave(
  _url: string,
  _remember: boolean,
  giveBack: () => void,
): Promise<((inTheWay?: boolean) => void) | undefined> {
  const client = current
  await undefined
  client.world.count(client.slotsDenied ? 'slot: denied' : 'slot: given')
  if (client.slotsDenied) return undefined
  client.leaves.add(giveBack)
  return (inTheWay) => {
    if (inTheWay) client.world.count('slot: given back, to be out of the way')
    client.leaves.delete(giveBack)
  }
}
