import { WebSocket } from 'everwire'

const socket = new WebSocket('/realtime', ['chat'], { transports: ['websocket', 'polling'] })
socket.addEventListener('transportchange', () => console.log(socket.transport))

// It stands wherever the browser's own class stands.
const standard: globalThis.WebSocket = socket
standard.onmessage = (event) => console.log(event.data)
