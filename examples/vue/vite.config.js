import vue from '@vitejs/plugin-vue'
import { WebSocketServer } from 'everwire/server'
import { defineConfig } from 'vite'

/** A room on Vite's own port: what one client sends, all clients get. */
const room = {
  name: 'room',
  configureServer({ httpServer }) {
    const realtime = new WebSocketServer({ server: httpServer, path: '/realtime' })
    realtime.on('connection', (socket) => {
      socket.on('message', (data) => realtime.broadcast(String(data)))
    })
  },
}

export default defineConfig({ plugins: [vue(), room] })
