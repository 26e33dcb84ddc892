/** What an answer is read from, and what calls a request off. */

/** An AbortSignal, with the one listener that it has here. */
export class PlainSignal {
  aborted = false
  onabort: (() => void) | null = null
  heard: (() => void) | undefined
}

/** What is read of an answer: chunks, then an end or a failure. */
export class Chunks {
  readonly #chunks: { readonly value?: Uint8Array | string | undefined }[] = []
  #over = false
  #fault: Error | undefined
  #wanted: { resolve(chunk: object): void; reject(error: Error): void } | undefined

  give(value: Uint8Array | string): void {
    this.#settle({ value })
  }

  end(): void {
    this.#over = true
    this.#settle({})
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#fault = error
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.reject(error)
  }

  #settle(chunk: { readonly value?: Uint8Array | string }): void {
    const wanted = this.#wanted
    this.#wanted = undefined
    if (wanted) wanted.resolve(chunk)
    else this.#chunks.push(chunk)
  }

  read(): Promise<{ value?: Uint8Array | string | undefined }> {
    const chunk = this.#fault ? undefined : this.#chunks.shift()
    if (chunk) return Promise.resolve(chunk)
    if (this.#fault) return Promise.reject(this.#fault)
    if (this.#over) return Promise.resolve({})
    return new Promise((resolve, reject) => {
      this.#wanted = { resolve, reject }
    })
  }

  getReader(): this {
    return this
  }
}
