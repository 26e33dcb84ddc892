import { WebSocket } from 'everwire'

const by = (id) => document.getElementById(id)

by('in').onclick = async () => {
  await fetch(`/sign-in?name=${encodeURIComponent(by('name').value)}`, { method: 'POST' })
  location.reload()
}

if ((await fetch('/me')).ok) {
  const socket = new WebSocket('/realtime')
  socket.onmessage = ({ data }) => {
    by('said').value = data
  }
  by('text').onchange = ({ target }) => socket.send(target.value)
}

import.meta.hot?.accept()
