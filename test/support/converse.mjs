// The client's part of a conversation, for whatever runtime there is: it uses the class it is given, and nothing but the language.

/**
 * Opens, sends text and bytes, is cut off, goes on, and closes.
 * @param {new (url: string, protocols: string[], options: object) => any} WebSocket
 * @param {string} url
 * @param {object} options
 * @returns {Promise<{ events: string[], transports: string[], tried: string[] }>} what happened, what carried it and what was tried
 */
export function converse(WebSocket, url, options) {
  return new Promise((resolve) => {
    /** @type {string[]} */
    const events = []
    /** @type {string[]} */
    const transports = []
    const socket = new WebSocket(url, ['talk'], options)
    socket.binaryType = 'arraybuffer'
    const note = () => {
      const { transport } = socket
      if (transport && transports.at(-1) !== transport) transports.push(transport)
    }
    socket.onopen = () => {
      note()
      events.push(`open ${socket.protocol}`)
      socket.send('héllo 🚀')
      socket.send(new Uint8Array([0, 1, 254, 255]).subarray(1))
    }
    socket.ontransportchange = note
    socket.onmessage = (/** @type {{ data: string | ArrayBuffer }} */ { data }) => {
      if (typeof data !== 'string') events.push(`bytes ${new Uint8Array(data).join(' ')}`)
      else if (data.length < 100) events.push(data)
      else {
        events.push(`${data.length} characters`)
        socket.close(4321, 'bÿe')
      }
      if (data === 'after the cut') socket.send('λ🚀'.repeat(100_000))
    }
    socket.onerror = () => events.push('error')
    socket.onclose = (/** @type {{ code: number, reason: string, wasClean: boolean }} */ event) => {
      events.push(`close ${event.code} ${event.reason} ${event.wasClean}`)
      const tried = socket.diary.flatMap((/** @type {any} */ { type, transport }) =>
        type === 'carrier' ? transport : [],
      )
      resolve({ events, transports, tried: [...new Set(tried)] })
    }
  })
}
