/** The option `session: false`: a plain native WebSocket, for servers without sessions. */
import { CloseCode } from '../../shared/codes.ts'
import type { Message } from '../../shared/message.ts'
import { type NativeSocket, whenFailed } from '../base/natives.ts'
import type { ConnectorHost } from '../pilot/connector.ts'
import { Diary } from '../pilot/diary.ts'

export class Direct {
  readonly diary: Diary = new Diary()
  /** Nobody asks before `open`, or after the end was told. */
  readonly transport = 'websocket'
  readonly #socket: NativeSocket
  #why: string | undefined

  constructor(
    socket: NativeSocket,
    offered: readonly string[],
    host: Pick<ConnectorHost, 'opened' | 'message' | 'closed'>,
  ) {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    const ended = (code: number, reason: string, clean: boolean): void => {
      socket.onclose = socket.onmessage = null
      this.diary.add({ type: 'close', at: Date.now(), code, reason: reason || (this.#why ?? '') })
      host.closed(code, reason, clean, this.#why !== undefined, true)
    }
    socket.onopen = () => {
      // WHATWG: a server that chooses none of the offered subprotocols has refused. Not every engine checks it.
      if (!offered.length || socket.protocol) host.opened(socket.protocol)
      else {
        this.#why = 'no subprotocol chosen'
        socket.close()
        ended(CloseCode.lost, '', false)
      }
    }
    socket.onmessage = ({ data }) =>
      host.message(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer), true)
    whenFailed(socket, (message) => {
      this.#why = message
    })
    socket.onclose = ({ code, reason, wasClean }) => ended(code, reason, wasClean)
  }

  get buffered(): number {
    return this.#socket.bufferedAmount
  }

  send({ data }: Message): boolean {
    this.#socket.send(data)
    return true
  }

  close(code: number, reason: string): void {
    if (code === 1005) this.#socket.close()
    else this.#socket.close(code, reason)
  }

  fail(why: string): void {
    this.#why = why
    this.#socket.close()
  }
}
