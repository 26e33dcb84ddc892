/** The acknowledgements that a session owes: how much has arrived since the last one, and when the next one is due. */
/** An acknowledgement is due after this many messages. */
const mostMessages = 64
/** An acknowledgement is due after this many bytes, and when the delay of the carrier is over (`Link.ackDelay`). */
const mostBytes = 128 * 1024

export class Acks {
  #messages = 0
  #bytes = 0
  /** When an acknowledgement is due; 0: no time is set. (A whole number needs no memory of its own.) */
  at = 0

  /** A message arrived that the other end keeps until it is acknowledged: for the first time, or once more. */
  arrived(bytes: number, now: number, delay = 0): void {
    this.#bytes += bytes
    if (!this.#messages++) this.at = now + delay
  }

  /** The carrier is to say an acknowledgement by itself. */
  get due(): boolean {
    return this.#messages >= mostMessages || this.#bytes >= mostBytes
  }

  /** The acknowledgement may not wait any longer. */
  hurry(): void {
    this.#messages = mostMessages
    this.at = 0
  }

  /** The other end was told what has arrived. */
  stated(): void {
    this.#messages = this.#bytes = this.at = 0
  }
}
