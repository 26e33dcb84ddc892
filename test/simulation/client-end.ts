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

type SocketClass = ReturnType<Everwire['client']['webSocketOn']>

/** A page: the code with its class on this platform, once for all runs, and the client that is simulated on it now. */
export interface Seat {
  readonly WebSocket: SocketClass
  client: ClientEnd
}

const seats = new WeakMap<object, Seat>()

function seatOf(code: Everwire['client']): Seat {
  const seat = seats.get(code) ?? makeSeat(code)
  seats.set(code, seat)
  return seat
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

  constructor(
    everwire: Pick<Everwire, 'client' | 'world'>,
    network: Network,
    options: WebSocketOptions,
    url = 'ws://server.example/',
  ) {
    super('client', everwire.world, options.maxBuffered as number)
    this.network = network
    this.readEvents = everwire.client.readEvents
    const { random } = this.world
    this.ownTasks = random.chance(0.7)
    this.scarce = random.chance(0.4)
    const page = seatOf(everwire.client)
    page.client = this
    this.socket = new page.WebSocket(url, [], options)
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

function makeSeat(code: Everwire['client']): Seat {
  const seat = {} as { WebSocket: SocketClass; client: ClientEnd }
  const platform: Platform = {
    get ownTasks() {
      return seat.client.ownTasks
    },
    base: () => undefined,
    webSocket(_url, protocols, _options, link?: CarrierLink) {
      const native = seat.client.network.connect(protocols)
      native.epoch = link?.epoch ?? 0
      return native
    },
    listen: (url, signal) => seat.client.readEvents(seat.client.network.eventSource(url), signal),
    post: (url, init) => seat.client.network.post(url, init).answer,
    task: (run) => void seat.client.world.after(0, run),
    closeEvent: (init) => Object.assign(new PlainEvent('close'), init) as unknown as Event,
    store: () => undefined,
    slot() {
      const { client } = seat
      return client.scarce ? (giveBack) => leave(client, giveBack) : undefined
    },
    watch(watcher) {
      const { client } = seat
      client.watcher = watcher as unknown as Watcher
      watchPhases(client.world, 'session', client.watcher.session)
      watchPhases(client.world, 'pilot', client.watcher.pilot)
    },
  }
  seat.WebSocket = code.webSocketOn(platform)
  return seat
}

async function leave(
  client: ClientEnd,
  giveBack: () => void,
): Promise<((inTheWay?: boolean) => void) | undefined> {
  await undefined
  client.world.count(client.slotsDenied ? 'slot: denied' : 'slot: given')
  if (client.slotsDenied) return undefined
  client.leaves.add(giveBack)
  return (inTheWay) => {
    if (inTheWay) client.world.count('slot: given back, to be out of the way')
    client.leaves.delete(giveBack)
  }
}
