import { type FormEvent, StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useSocket } from './useSocket.ts'

function ConnectionStatus() {
  const { status } = useSocket('/realtime')
  return <p role="status">{status}</p>
}

function ChatRoom() {
  const [messages, setMessages] = useState<readonly string[]>([])
  const { socket, status } = useSocket('/realtime', {
    open: (_event, socket) => socket.send('somebody came in'), // at each session
    message: ({ data }) => setMessages((before) => [...before, data]),
  })

  function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    socket?.send(String(new FormData(form).get('text')))
    form.reset()
  }

  return (
    <>
      <ol>
        {messages.map((text, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: messages are only added at the end
          <li key={index}>{text}</li>
        ))}
      </ol>
      <form onSubmit={send}>
        <input name="text" aria-label="Message" autoComplete="off" />
        <button type="submit" disabled={status === 'connecting' || status === 'closed'}>
          Send
        </button>
      </form>
    </>
  )
}

createRoot(document.querySelector('#app') as Element).render(
  <StrictMode>
    <ConnectionStatus />
    <ChatRoom />
  </StrictMode>,
)
