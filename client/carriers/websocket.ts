/** Frames over one WebSocket. Order is given there, so messages travel as they are: docs/PROTOCOL.md, section 2. */
import { CloseCode } from '../../shared/codes.ts'
import {
  decodeControl,
  encodeControl,
  escape as nul,
  subprotocol,
  subprotocolWithHead,
  type Welcome,
} from '../../shared/control.ts'
import type { Attempt, Carrier, Client } from '../carrier.ts'
import { now } from '../clock.ts'
import type { NativeSocket } from '../platform.ts'

export class WebSocketCarrier implements Carrier {
  readonly #client: Client
  readonly #link: Attempt
  #socket: NativeSocket | undefined
  #welcome: Welcome | undefined
  #why = ''

  constructor(client: Client, link: Attempt, connect: (protocols: string[]) => NativeSocket) {
    this.#client = client
    this.#link = link
    const head = String.fromCharCode(...client.head(link, 0, 0).whole())
    const encoded = btoa(head).replace(/[+/=]/g, (one) => (one === '+' ? '-' : one === '/' ? '_' : ''))
    try {
      const socket = connect([...client.protocols, subprotocol, subprotocolWithHead + encoded])
      this.#socket = socket
      socket.binaryType = 'arraybuffer'
      socket.onmessage = ({ data }) => this.#message(data as string | ArrayBuffer)
      // Browsers do not say why a connection failed; others do, and an `error` nobody listens to is thrown there.
      socket.onerror = ({ message }) => {
        this.#why = message ?? ''
      }
      socket.onclose = ({ code, reason }) =>
        this.#end(reason || this.#why || (this.#welcome ? `closed ${code}` : 'refused'))
    } catch {
      // Mixed content, or a port that browsers block.
      queueMicrotask(() => this.#end('not allowed'))
    }
  }

  get buffered(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  take(): void {
    const { session } = this.#client
    const link = this.#link
    const { got, start } = this.#welcome as Welcome
    if (!link.standby && got < session.acknowledged.number) {
      // Numbers are implicit here: to go on would be to lose messages without a word.
      session.abortArrived(CloseCode.lost, 'messages lost')
      return
    }
    link.sound = true
    link.got = start ?? session.received.number
    this.#client.attach(link, { number: got, offset: 0 })
    if (link.standby) {
      this.#socket?.send(encodeControl({ kind: 'take', got: link.got, start: session.acknowledged.number }))
      session.ackStated()
    }
  }

  flush(): void {
    const { session } = this.#client
    for (let frame = session.poll(this.#link); frame; frame = session.poll(this.#link)) {
      let data: string | Uint8Array
      if (!('data' in frame)) data = encodeControl(frame)
      else if (frame.kind === 'close')
        data = encodeControl({ kind: 'close', code: frame.code, reason: frame.data as string })
      else if (typeof frame.data === 'string' && frame.data.startsWith(nul)) data = nul + frame.data
      else data = frame.data
      this.#socket?.send(data)
    }
  }

  close(): void {
    const socket = this.#socket
    this.#socket = undefined
    if (!socket) return
    socket.onmessage = socket.onclose = null
    socket.close()
  }

  #end(why: string): void {
    this.close()
    this.#client.lost(this.#link, why)
  }

  #message(data: string | ArrayBuffer): void {
    const { session } = this.#client
    const text = typeof data === 'string'
    session.heard(now())
    if (text && data[0] === nul && data[1] !== nul) this.#control(data)
    else if (!this.#welcome) this.#end('not ours')
    else {
      const payload = !text ? new Uint8Array(data) : data[0] === nul ? data.slice(1) : data
      session.receive(this.#link, text ? 'text' : 'binary', payload, 0, now())
    }
    this.#client.settle(true)
  }

  #control(text: string): void {
    const { session } = this.#client
    const control = decodeControl(text)
    switch (control?.kind) {
      case 'welcome':
        this.#welcome = control
        this.#client.proven(this.#link, control)
        break
      case 'abort':
        session.abortArrived(control.code, control.reason)
        break
      case 'superseded':
        this.#end('superseded')
        break
      case 'close':
        session.receive(this.#link, 'close', control.reason, control.code, now())
        break
      case 'ping':
        session.pingArrived(this.#link, control.payload, now())
        break
      case 'pong':
        break
      case 'ack':
        if (!session.ackArrived({ number: control.number, offset: 0 }, now()))
          session.fail(CloseCode.protocolError, 'bad ack', now())
        break
      default:
        session.fail(CloseCode.protocolError, 'malformed frame', now())
    }
  }
}
