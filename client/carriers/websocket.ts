/** Frames over one WebSocket. Order is given there, so messages travel as they are: docs/PROTOCOL.md, section 2. */
import { hear } from '../../shared/carry.ts'
import { CloseCode } from '../../shared/codes.ts'
import { subprotocol, subprotocolWithHead } from '../../shared/exchange.ts'
import {
  type Control,
  controlText,
  escape as nul,
  type Piece,
  readControl,
  readText,
  readWelcome,
  type Welcome,
} from '../../shared/frame.ts'
import type { Carrier, CarrierHost, CarrierLink } from '../base/carrier.ts'
import { now } from '../base/clock.ts'
import { type NativeSocket, whenFailed } from '../base/natives.ts'
import type { Why } from '../base/why.ts'

/** More bytes than this take long on a slow line. */
const much = 65_536
/** The controls that a server may say first: `welcome`, `abort`, `superseded`. */
const early = /^(w|ab|su)/

export class WebSocketCarrier implements Carrier {
  readonly #host: CarrierHost
  readonly #link: CarrierLink
  #socket: (NativeSocket & { terminate?(): void }) | undefined
  #welcome: Welcome | undefined
  #why = ''
  /** The interval of pings that the server was asked for, and when it was asked. */
  #quiet = 0
  #askedAt = 0
  /** The bytes of controls since the native socket was last empty: its `bufferedAmount` may still contain them. */
  #controls = 0

  constructor(host: CarrierHost, link: CarrierLink, connect: (protocols: string[]) => NativeSocket) {
    this.#host = host
    this.#link = link
    const head = String.fromCharCode(...host.head(link, 0, 0).whole())
    const encoded = btoa(head).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
    try {
      const socket = connect([...host.protocols, subprotocol, subprotocolWithHead + encoded])
      this.#socket = socket
      socket.binaryType = 'arraybuffer'
      socket.onmessage = ({ data }) => this.#message(data as string | ArrayBuffer)
      // Browsers do not say why a connection failed. Other runtimes do, and there an `error` without a listener is thrown.
      whenFailed(socket, (message) => {
        this.#why = message
      })
      socket.onclose = ({ code, reason }) => {
        const text = reason || this.#why
        this.#end(
          this.#welcome ? { is: 'ended', code, text } : { is: 'refused', text },
          code === CloseCode.lost ? 'network' : 'server',
        )
      }
    } catch {
      // Mixed content, a port that browsers block, or the page's policy.
      queueMicrotask(() => this.#end({ is: 'not allowed', text: '' }, 'client'))
    }
  }

  get buffered(): number {
    return Math.max((this.#socket?.bufferedAmount ?? 0) - this.#controls, 0)
  }

  take(): void {
    const { session } = this.#host
    const link = this.#link
    const { got, start } = this.#welcome as Welcome
    if (!link.standby && got < session.acknowledged.number) {
      // Numbers are implicit on a WebSocket, so to go on would lose messages without a sign.
      session.abortArrived(CloseCode.lost, 'messages lost')
      return
    }
    link.got = start ?? session.received.number
    this.#host.attach(link, { number: got, offset: 0 })
    if (!this.#quiet) this.#hear()
    if (link.standby) {
      this.#say('take', `${link.got},${session.acknowledged.number}`)
      session.ackStated()
    }
  }

  flush(): void {
    const { session, network } = this.#host
    if (this.#quiet && this.#quiet !== Math.floor(network.quiet)) this.#hear()
    for (let frame = session.poll(this.#link); frame; frame = session.poll(this.#link)) {
      const data = 'data' in frame ? frame.data : frame.payload
      const { kind } = frame
      if (kind !== 'text' && kind !== 'binary') this.#say(kind, data as string)
      else this.#send(typeof data === 'string' && data[0] === nul ? nul + data : data)
    }
  }

  #say(kind: Control['kind'], payload: string): void {
    const size = this.#send(controlText(kind, payload))
    this.#controls += size
  }

  /** Returns by how much the `bufferedAmount` of the native socket has grown. */
  #send(data: string | Uint8Array): number {
    const socket = this.#socket
    if (!socket) return 0
    const before = socket.bufferedAmount
    if (!before) this.#controls = 0
    socket.send(data)
    return socket.bufferedAmount - before
  }

  close(): void {
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    socket.onmessage = socket.onclose = null
    // Data that another carrier will send again would only delay it: cut the connection. Browsers cannot do that.
    if (!this.#host.session.done && socket.bufferedAmount > much && socket.terminate) socket.terminate()
    else socket.close()
  }

  /** Asks the server to send something at least this often. The answer shows that both directions are open. */
  #hear(): void {
    this.#quiet = Math.floor(this.#host.network.quiet)
    this.#askedAt = now()
    this.#link.asked = true
    this.#say('hear', `${this.#quiet}`)
  }

  #longCame(bytes: number, time: number): void {
    this.#link.longBytes = 0
    this.#host.network.took(bytes, time - this.#link.longSince)
  }

  #end(why: Why, by: 'client' | 'server' | 'network'): void {
    this.close()
    this.#host.lost(this.#link, why, by)
  }

  #message(data: string | ArrayBuffer): void {
    const { session } = this.#host
    const text = typeof data === 'string'
    // The clock is read once for each message, because it is a part of the message's cost.
    const time = now()
    this.#host.pilot.heard(this.#link, time)
    const piece = text && data[0] === nul && data[1] !== nul ? readText(data) : undefined
    const control = piece && readControl(piece)
    // A welcome comes once. Before it a server says only why there is none.
    const kind = control?.kind
    if (this.#welcome ? kind === 'welcome' : !early.test(kind as string))
      this.#end({ is: 'not ours' }, 'network')
    else if (piece) this.#control(piece, control, time)
    else {
      if (this.#link.longBytes) this.#longCame(text ? data.length : (data as ArrayBuffer).byteLength, time)
      const payload = !text ? new Uint8Array(data) : data[0] === nul ? data.slice(1) : data
      session.receive(this.#link, text ? 'text' : 'binary', payload, time)
    }
    this.#host.settle(true, time)
  }

  #control(piece: Piece, control: Control | undefined, time: number): void {
    const host = this.#host
    const link = this.#link
    const { session } = host
    switch (control?.kind) {
      case 'welcome':
        this.#welcome = readWelcome(control.payload)
        // A carrier that opens or resumes is in use from its welcome on. A standby must first show that both directions work.
        if (link.standby) this.#hear()
        else host.proven(link, this.#welcome)
        break
      case 'pong':
        if (this.#askedAt) host.network.measured(time - this.#askedAt)
        this.#askedAt = 0
        host.sound(link)
        if (link.standby) host.proven(link, this.#welcome)
        host.pilot.answered(link, time)
        host.ponged?.(control.payload)
        break
      case 'token':
        host.askToken(link)
        break
      case 'superseded':
        this.#end({ is: 'superseded' }, 'server')
        break
      case 'long':
        // A message above `maxPayload` would end the session, so it gets no more time.
        link.longBytes = Math.min(+control.payload, session.limits.maxPayload)
        host.pilot.announced(link, time)
        break
      case 'pause':
        host.pilot.paused = control.payload > '0'
        break
      default:
        hear(session, link, piece, time)
    }
  }
}
