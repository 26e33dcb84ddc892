import { WebSocket } from 'everwire'
import { examine, type Report } from 'everwire/doctor'

const socket = new WebSocket('/realtime', ['chat'], { transports: ['websocket', 'polling'] })
socket.addEventListener('transportchange', () => console.log(socket.transport))

// It stands wherever the browser's own class stands.
const standard: globalThis.WebSocket = socket
standard.onmessage = (event) => console.log(event.data)

const report: Report = await examine('/realtime', { onProgress: ({ done, of }) => console.log(done / of) })
console.log(report.plan.says, report.transports.websocket.outcome === 'works')
