import { WebSocket } from 'everwire'
import { examine, type Report } from 'everwire/doctor'
import { events } from 'everwire/events'

const socket = new WebSocket('/realtime', ['chat'], { transports: ['websocket', 'polling'] })
socket.addEventListener('transportchange', () => console.log(socket.transport))

// It stands wherever the browser's own class stands.
const standard: globalThis.WebSocket = socket
standard.onmessage = (event) => console.log(event.data)

const { ask } = events<{ join(room: string): number }>(socket)
ask('join', 'garden').then((count) => console.log(count.toFixed()))

const report: Report = await examine('/realtime', { onProgress: ({ done, of }) => console.log(done / of) })
console.log(report.plan.says, report.transports.websocket.outcome === 'works')

// @ts-expect-error: our types are there, and say what there is
new WebSocket('/realtime', { transports: ['carrier pigeon'] })
